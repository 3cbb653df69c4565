package pkidir

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// elsewhere is a CA that has signed things somewhere else.
func elsewhere(t *testing.T, d *Dir, called string) *pki.Authority {
	t.Helper()
	a := pkitest.Root(t)
	_, err := d.ImportAuthority(t.Context(), name(t, called), a.Chain(), pkitest.Key(t, profiles.ECP256, pkitest.RootKey), ImportOptions{})
	must(t, err)
	return a
}

// signs has a CA elsewhere sign a client's certificate that begins days after the
// clock's time.
func signs(t *testing.T, a *pki.Authority, cn string, days int) CertificateImport {
	t.Helper()
	b, err := a.Issue(profiles.Client(), pki.Request{
		Subject: pki.Subject{CommonName: cn}, Lifetime: pki.Lifetime{NotBefore: pkitest.Clock().AddDate(0, 0, days), Validity: 90 * 24 * time.Hour},
	})
	must(t, err)
	return CertificateImport{Name: name(t, cn), Cert: b.Leaf()}
}

// states returns a line for each entry of a ledger.
func states(t *testing.T, d *Dir) (all []string) {
	t.Helper()
	l, err := d.Ledger(t.Context())
	must(t, err)
	must(t, l.Each(t.Context(), ledger.Filter{Kind: ledger.KindCertificate, All: true}, func(e *ledger.Entry) error {
		all = append(all, fmt.Sprintf("%s %s %v %s", e.Name, e.Issuer, e.Current, e.Status(pkitest.Clock().AddDate(0, 0, 5))))
		return nil
	}))
	return all
}

func TestImportLedger(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	ca := elsewhere(t, d, "old")
	issue(t, d, false, serverOrder(t, "taken"))

	first, second, third := signs(t, ca, "web", 0), signs(t, ca, "web", 1), signs(t, ca, "web", 2)
	lone, taken := signs(t, ca, "lone", 0), signs(t, ca, "taken", 0)
	sub, err := ca.NewIntermediate(pki.CARequest{Subject: pki.Subject{CommonName: "sub"}})
	must(t, err)
	foreign := issue(t, d, false, serverOrder(t, "foreign"))[0].Bundle.Leaf()
	when := pkitest.Clock().AddDate(0, -1, 0)
	in := LedgerImport{
		Authority: "old",
		Certificates: []CertificateImport{
			third, first, second, lone, taken, lone, {Name: name(t, "sub"), Cert: sub.Certificate()}, {Name: name(t, "x"), Cert: foreign},
		},
		Revoked: []pki.Revocation{
			{Serial: third.Cert.SerialNumber, At: when, Reason: pki.KeyCompromise}, {Serial: lone.Cert.SerialNumber, At: when.Add(time.Second)},
			{Serial: big.NewInt(0xabc), At: when.Add(time.Minute), Reason: pki.Superseded},
		},
	}
	done, err := d.ImportLedger(t.Context(), in)
	must(t, err)
	if len(done.Issued) != 5 || done.Known != 1 || done.Revoked != 3 || len(done.Refused) != 2 {
		t.Errorf("%+v", done)
	}
	if r := done.Refused; !errors.Is(r[0].Err, pki.ErrNotCA) || r[0].Place != 6 || !errors.Is(r[1].Err, ErrForeign) || r[1].Place != 7 {
		t.Errorf("%+v", r)
	}
	// The latest that is not revoked has the name; one who has it already keeps it.
	renamed := "taken-" + serialOf(taken.Cert)[:8]
	want := []string{
		"taken issuing true valid", "foreign issuing true valid",
		"web old false superseded", "lone old true revoked", renamed + " old true valid", "web old true valid", "web old false revoked",
	}
	if diff := cmp.Diff(want, states(t, d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e, err := d.ledger.BySerial(t.Context(), "old", serialOf(third.Cert))
	if err != nil || !e.RevokedAt.Equal(when) || e.Reason != int(pki.KeyCompromise) {
		t.Errorf("%+v, %v", e, err)
	}
	b, err := d.Bundle("web", noPassphrase)
	if err != nil || !b.Leaf().Equal(second.Cert) || b.Key != nil {
		t.Errorf("the folder has another certificate: %v", err)
	}

	// The CRL says all of it, at its time.
	crl, err := d.PublishCRL(t.Context(), "old", CRLOptions{Passphrase: noPassphrase, Validity: day})
	if err != nil || crl.Entries != 3 || crl.Number != 1 {
		t.Errorf("%+v, %v", crl, err)
	}

	// Again, nothing changes; what is new comes, and takes the name from what is here
	// without a key.
	fourth := signs(t, ca, "web", 3)
	in.Certificates = append(in.Certificates, fourth)
	for n, issued := range []int{1, 0} {
		if done, err = d.ImportLedger(t.Context(), in); err != nil || len(done.Issued) != issued || done.Revoked != 0 || done.Known != 6+n {
			t.Errorf("again: %+v, %v", done, err)
		}
	}
	if e, err := d.ledger.Current(t.Context(), "web"); err != nil || e.Serial != serialOf(fourth.Cert) {
		t.Errorf("%+v, %v", e, err)
	}
	// One that is older than what has the name is on record behind it.
	in.Certificates = []CertificateImport{signs(t, ca, "web", 1)}
	done, err = d.ImportLedger(t.Context(), in)
	if err != nil || len(done.Issued) != 1 || done.Issued[0].Entry.Current || done.Issued[0].Path != "" {
		t.Errorf("%+v, %v", done, err)
	}
	check(t, path)

	in.Authority = "nobody"
	if _, err := d.ImportLedger(t.Context(), in); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("%v", err)
	}
	if n, err := d.AuthorityOf(ca.Certificate()); n != "old" || err != nil {
		t.Errorf("AuthorityOf = %q, %v", n, err)
	}
	if _, err := d.AuthorityOf(foreign); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("AuthorityOf = %v", err)
	}
}

// One with a key is not replaced by one without.
func TestImportLedgerKeepsKeys(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	ca := elsewhere(t, d, "old")
	b, err := ca.Issue(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "web"}})
	must(t, err)
	_, err = d.ImportCertificate(t.Context(), CertificateImport{Name: name(t, "web"), Cert: b.Leaf(), Key: b.Key})
	must(t, err)
	later := signs(t, ca, "web", 1)
	done, err := d.ImportLedger(t.Context(), LedgerImport{Authority: "old", Certificates: []CertificateImport{later}})
	if err != nil || done.Issued[0].Entry.Name != "web-"+serialOf(later.Cert)[:8] {
		t.Errorf("%+v, %v", done, err)
	}
	if got, err := d.Bundle("web", noPassphrase); err != nil || got.Key == nil {
		t.Errorf("the key is gone: %v", err)
	}
	check(t, path)
}

func TestImportCertificateByName(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	ca := elsewhere(t, d, "old")
	web := signs(t, ca, "web", 0)
	// It was revoked before it came.
	_, err := d.ImportLedger(t.Context(), LedgerImport{Authority: "old", Revoked: []pki.Revocation{{Serial: web.Cert.SerialNumber, At: pkitest.Clock(), Reason: pki.CertificateHold}}})
	must(t, err)
	got, err := d.ImportCertificate(t.Context(), web)
	must(t, err)
	if e := got.Entry; e.Profile != ProfileImported || e.Reason != int(pki.CertificateHold) || e.RevokedAt.IsZero() || got.Path != d.Path("certificates", "web") {
		t.Errorf("%+v, %s", got.Entry, got.Path)
	}
	if !AskedExactly(&got.Entry) {
		t.Error("it cannot be asked for again")
	}
	again, err := d.ImportCertificate(t.Context(), web)
	if err != nil || again.Path != got.Path || again.Entry.Serial != got.Entry.Serial {
		t.Errorf("%+v, %v", again, err)
	}
	// It is here once, under whatever name.
	var exists *ledger.ExistsError
	other := web
	other.Name = name(t, "other")
	if _, err := d.ImportCertificate(t.Context(), other); !errors.As(err, &exists) || exists.Name != "web" {
		t.Errorf("%v", err)
	}
	// It is asked for again as it was.
	order, err := d.Renewal(&got.Entry, nil, false)
	must(t, err)
	renewed, err := d.Issue(t.Context(), []Order{order}, IssueOptions{Passphrase: noPassphrase, Replace: true})
	must(t, err)
	if c := renewed[0].Bundle.Leaf(); c.Subject.CommonName != "web" || !cmp.Equal(c.ExtKeyUsage, web.Cert.ExtKeyUsage) || c.NotAfter.Sub(c.NotBefore) != web.Cert.NotAfter.Sub(web.Cert.NotBefore) ||
		!pki.SamePublicKey(c.PublicKey, web.Cert.PublicKey) {
		t.Errorf("%v %v %v", c.Subject, c.NotBefore, c.NotAfter)
	}
	check(t, path)
}

func TestImportCRL(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	ca, other := pkitest.Root(t), pkitest.NewRoot(t, pki.CARequest{Subject: pki.Subject{CommonName: "Other"}})
	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	crl := func(a *pki.Authority, number *big.Int) *x509.RevocationList {
		der, err := a.SignCRL(number, pkitest.Clock().Add(day), []pki.Revocation{{Serial: big.NewInt(7), At: pkitest.Clock(), Reason: pki.Superseded}})
		must(t, err)
		list, err := x509.ParseRevocationList(der)
		must(t, err)
		return list
	}
	adopt := func(called string, o ImportOptions) error {
		_, err := d.ImportAuthority(t.Context(), name(t, called), ca.Chain(), key, o)
		return err
	}
	huge := new(big.Int).Lsh(big.NewInt(1), 64)
	for what, o := range map[string]ImportOptions{"another CA's": {CRL: crl(other, big.NewInt(1))}, "too great": {CRL: crl(ca, huge)}} {
		if err := adopt("old", o); !errors.Is(err, ErrCRL) {
			t.Errorf("%s: %v", what, err)
		}
	}
	delta := crl(ca, big.NewInt(1))
	delta.Extensions[0].Id = []int{2, 5, 29, 27}
	if err := adopt("old", ImportOptions{CRL: delta}); !errors.Is(err, ErrCRL) || !strings.Contains(err.Error(), "part") {
		t.Errorf("a delta: %v", err)
	}
	if d.IsAuthority("old") {
		t.Error("it was imported all the same")
	}

	urls := pki.URLs{CRL: []string{"http://pki.example.com/old.crl"}}
	must(t, adopt("old", ImportOptions{CRL: crl(ca, big.NewInt(41)), URLs: urls, Default: true, Alone: true}))
	if d.DefaultAuthority() != "old" || !cmp.Equal(d.AuthorityURLs("old"), urls) {
		t.Errorf("default %q, %v", d.DefaultAuthority(), d.AuthorityURLs("old"))
	}
	if _, err := os.Stat(filepath.Join(path, "authorities", "old", CRLFile)); err != nil {
		t.Error(err)
	}
	published, err := d.PublishCRL(t.Context(), "old", CRLOptions{Passphrase: noPassphrase, Validity: day})
	if err != nil || published.Number != 42 || published.Entries != 1 {
		t.Errorf("%+v, %v", published, err)
	}
	// Numbers never go back; they may go on, and the settings change.
	urls.CRL[0] = "http://pki.example.com/new.crl"
	must(t, adopt("old", ImportOptions{CRL: crl(ca, big.NewInt(9)), URLs: urls}))
	must(t, adopt("old", ImportOptions{CRLNumber: 99}))
	published, err = d.PublishCRL(t.Context(), "old", CRLOptions{Passphrase: noPassphrase, Validity: day})
	if err != nil || published.Number != 100 || published.Entries != 1 || !cmp.Equal(d.AuthorityURLs("old"), urls) {
		t.Errorf("%+v, %v", published, err)
	}
	// The same CA is here once.
	var same *SameAuthorityError
	if err := adopt("again", ImportOptions{Alone: true}); !errors.As(err, &same) || same.Has != "old" {
		t.Errorf("%v", err)
	}
	check(t, path)
}

func TestCreateImported(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "pki")
	ca, issuing := pkitest.Root(t), pkitest.Issuing(t)
	create := func(called string, a *pki.Authority, o ImportOptions) (Issued, error) {
		return CreateImported(t.Context(), path, pkitest.Clock, "import-ca", name(t, called), a.Chain(), nil, o)
	}
	// What is refused leaves nothing behind.
	if _, err := create("old", ca, ImportOptions{CRL: &x509.RevocationList{}}); !errors.Is(err, ErrCRL) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is something: %v", err)
	}
	got, err := create("old", ca, ImportOptions{DefaultIfNone: true})
	must(t, err)
	if !got.Default || got.Path != filepath.Join(path, "authorities", "old") || len(got.Warnings) != 0 {
		t.Errorf("%+v", got)
	}
	got, err = create("issuing", issuing, ImportOptions{DefaultIfNone: true})
	must(t, err)
	if got.Default || got.Entry.Issuer != "old" || len(got.Warnings) != 0 {
		t.Errorf("%+v", got)
	}
	d := open(t, path)
	l, err := d.Ledger(t.Context())
	must(t, err)
	must(t, l.EachLog(t.Context(), ledger.LogFilter{}, func(e *ledger.LogEntry) error {
		if e.Command != "import-ca" || e.Action != ledger.ActionImport {
			t.Errorf("%+v", e)
		}
		return nil
	}))
	check(t, path)
}
