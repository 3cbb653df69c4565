package pkidir_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

var crlOptions = pkidir.CRLOptions{Passphrase: noPassphrase, Validity: 7 * 24 * time.Hour}

func noPassphrase() ([]byte, error) { return nil, pki.ErrPassphrase }

func mustName(t *testing.T, s string) pki.Name {
	t.Helper()
	n, err := pki.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newPKI has a root, an issuing authority, and a certificate of each: top and
// web.
func newPKI(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	orders := []pkidir.AuthorityOrder{
		{Name: mustName(t, "root"), Request: pki.CARequest{Subject: pki.Subject{CommonName: "root"}, PathLen: pki.NoPathLen}},
		{Name: mustName(t, "issuing"), Parent: "root", Request: pki.CARequest{Subject: pki.Subject{CommonName: "issuing"}}},
	}
	if _, err := pkidir.CreateAuthorities(t.Context(), dir, pkitest.Clock, orders, pkidir.AuthorityOptions{Passphrase: noPassphrase}); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	issue(t, d, "web", "issuing")
	issue(t, d, "top", "root")
	return dir
}

func issue(t *testing.T, d *pkidir.Dir, name, by string) {
	t.Helper()
	order := pkidir.Order{Name: mustName(t, name), Profile: profiles.Server(), Request: pki.Request{SANs: pkitest.SANs(t, name+".example.com")}}
	if _, err := d.Issue(t.Context(), []pkidir.Order{order}, pkidir.IssueOptions{Authority: by, Passphrase: noPassphrase}); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *pkidir.Dir {
	t.Helper()
	d, err := pkidir.Open(dir, pkitest.Clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func entry(t *testing.T, d *pkidir.Dir, name string) *ledger.Entry {
	t.Helper()
	l, err := d.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.Current(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// published returns the number and the entries of an authority's CRL; 0 if there
// is none.
func published(t *testing.T, dir, authority string) (number int64, entries int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "authorities", authority, pkidir.CRLFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "X509 CRL" || len(rest) > 0 {
		t.Fatalf("%s is not one CRL", data)
	}
	crl, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return crl.Number.Int64(), len(crl.RevokedCertificateEntries)
}

func wantCRL(t *testing.T, dir, authority string, number int64, entries int) {
	t.Helper()
	if n, e := published(t, dir, authority); n != number || e != entries {
		t.Errorf("the CRL of %s is number %d with %d entries; want %d with %d", authority, n, e, number, entries)
	}
}

func wantNothingStaged(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, ".staging"))
	if err != nil || len(left) > 0 {
		t.Errorf("in the staging folder: %v, %v", left, err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	dir := newPKI(t)
	d := open(t, dir)
	both := []pkidir.Revocation{{Entry: entry(t, d, "web"), Reason: pki.KeyCompromise}, {Entry: entry(t, d, "top"), Reason: pki.Superseded}}
	crls, err := d.Revoke(t.Context(), both, crlOptions)
	if err != nil || len(crls) != 2 || crls[0].Issuer != "issuing" || crls[1].Issuer != "root" || crls[0].Path != d.Path("authorities", "issuing", "crl.pem") {
		t.Fatalf("%+v, %v", crls, err)
	}
	wantCRL(t, dir, "issuing", 1, 1)
	wantCRL(t, dir, "root", 1, 1)
	wantNothingStaged(t, dir)
	// What was read before counts for nothing: another process may have been faster.
	if _, err := d.Revoke(t.Context(), both[:1], crlOptions); !errors.Is(err, ledger.ErrRevoked) {
		t.Errorf("once more: %v; want %v", err, ledger.ErrRevoked)
	}
	if _, err := d.Revoke(t.Context(), []pkidir.Revocation{{Entry: both[0].Entry, Lift: true}}, crlOptions); !errors.Is(err, ledger.ErrNotOnHold) {
		t.Errorf("lifted: %v; want %v", err, ledger.ErrNotOnHold)
	}
	wantCRL(t, dir, "issuing", 1, 1)
	if _, err := d.PublishCRL(t.Context(), "nobody", crlOptions); !errors.Is(err, pkidir.ErrNoAuthority) {
		t.Errorf("%v; want %v", err, pkidir.ErrNoAuthority)
	}
}

// TestRevokeAllOrNothing takes the second of two CRLs out of reach.
func TestRevokeAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := newPKI(t)
	d := open(t, dir)
	web, top := entry(t, d, "web"), entry(t, d, "top")
	both := []pkidir.Revocation{{Entry: web}, {Entry: top}}
	for name, spoil := range map[string]func(t *testing.T) (o pkidir.CRLOptions, ctx context.Context){
		"no key": func(t *testing.T) (pkidir.CRLOptions, context.Context) {
			key := filepath.Join(dir, "authorities", "root", "tls.key")
			if err := os.Rename(key, key+".away"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Rename(key+".away", key) })
			return crlOptions, t.Context()
		},
		"a CRL that has ended": func(t *testing.T) (pkidir.CRLOptions, context.Context) {
			return pkidir.CRLOptions{Passphrase: noPassphrase, Validity: -time.Hour}, t.Context()
		},
		"cancelled": func(t *testing.T) (pkidir.CRLOptions, context.Context) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return crlOptions, ctx
		},
		"a folder in the way": func(t *testing.T) (pkidir.CRLOptions, context.Context) {
			staged := filepath.Join(dir, ".staging")
			if err := os.RemoveAll(staged); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(staged, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := errors.Join(os.Remove(staged), os.Mkdir(staged, 0o700)); err != nil {
					t.Fatal(err)
				}
			})
			return crlOptions, t.Context()
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, ctx := spoil(t)
			if crls, err := d.Revoke(ctx, both, o); err == nil {
				t.Errorf("it worked: %+v", crls)
			}
			for _, n := range []string{"web", "top"} {
				if !entry(t, d, n).RevokedAt.IsZero() {
					t.Errorf("%s is revoked", n)
				}
			}
			wantCRL(t, dir, "issuing", 0, 0)
			wantCRL(t, dir, "root", 0, 0)
		})
	}
	if _, err := d.Revoke(t.Context(), both, crlOptions); err != nil {
		t.Fatal(err)
	}
	wantCRL(t, dir, "issuing", 1, 1)
	wantNothingStaged(t, dir)
}

// stage puts a CRL where a process that was killed would have left it.
func stage(t *testing.T, dir, authority string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, ".staging", "crl."+authority), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestKilledAfterTheLedger is a process that was killed when the ledger had the
// revocation, and the CRL was not in its place.
func TestKilledAfterTheLedger(t *testing.T) {
	t.Parallel()
	dir := newPKI(t)
	d := open(t, dir)
	if _, err := d.PublishCRL(t.Context(), "", crlOptions); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "authorities", "issuing", pkidir.CRLFile)
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Revoke(t.Context(), []pkidir.Revocation{{Entry: entry(t, d, "web")}}, crlOptions); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, next := range map[string]func(d *pkidir.Dir) error{
		"finish": func(d *pkidir.Dir) error { return d.Finish(t.Context()) },
		"issue":  func(d *pkidir.Dir) error { issue(t, d, "another", "root"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, first, 0o644); err != nil {
				t.Fatal(err)
			}
			stage(t, dir, "issuing", second)
			wantCRL(t, dir, "issuing", 1, 0)
			if err := next(open(t, dir)); err != nil {
				t.Fatal(err)
			}
			wantCRL(t, dir, "issuing", 2, 1)
			wantNothingStaged(t, dir)
		})
	}
}

// TestKilledBeforeTheLedger is a process that was killed when the CRL was signed
// and the ledger knew nothing of it.
func TestKilledBeforeTheLedger(t *testing.T) {
	t.Parallel()
	dir := newPKI(t)
	before, err := os.ReadFile(filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := pkidir.Open(dir, pkitest.Clock)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Revoke(t.Context(), []pkidir.Revocation{{Entry: entry(t, d, "web")}}, crlOptions)
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "authorities", "issuing", pkidir.CRLFile)
	signed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// As if it had never been recorded.
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "ledger.db"), before, 0o600), os.Remove(file)); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"whole": signed, "half": signed[:len(signed)/2], "empty": nil} {
		t.Run(name, func(t *testing.T) {
			stage(t, dir, "issuing", data)
			d := open(t, dir)
			if err := d.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantCRL(t, dir, "issuing", 0, 0)
			wantNothingStaged(t, dir)
			if !entry(t, d, "web").RevokedAt.IsZero() {
				t.Error("web is revoked")
			}
		})
	}
	// Its number is free.
	stage(t, dir, "issuing", signed)
	if _, err := open(t, dir).PublishCRL(t.Context(), "issuing", crlOptions); err != nil {
		t.Fatal(err)
	}
	wantCRL(t, dir, "issuing", 1, 0)
	wantNothingStaged(t, dir)
}

func TestCRLs(t *testing.T) {
	t.Parallel()
	dir := newPKI(t)
	d := open(t, dir)
	if _, err := d.CRLs(t.Context(), "issuing", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first: %v", err)
	}
	if _, err := d.PublishCRL(t.Context(), "issuing", crlOptions); err != nil {
		t.Fatal(err)
	}
	own, err := d.CRLs(t.Context(), "issuing", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CRLs(t.Context(), "issuing", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without that of the root: %v", err)
	}
	if _, err := d.PublishCRL(t.Context(), "root", crlOptions); err != nil {
		t.Fatal(err)
	}
	above, err := d.CRLs(t.Context(), "root", true)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.CRLs(t.Context(), "issuing", true)
	if err != nil || string(all) != string(own)+string(above) {
		t.Errorf("%s, %v", all, err)
	}
}
