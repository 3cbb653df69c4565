package pkidir

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// underRoot makes a PKI directory with something below each authority, all of
// which have a CRL.
func underRoot(t *testing.T) *Dir {
	t.Helper()
	d := open(t, newPath(t))
	direct := serverOrder(t, "direct.example.com")
	direct.Authority = "root"
	issue(t, d, false, serverOrder(t, "a.example.com"), direct)
	for _, name := range []string{"root", "issuing"} {
		_, err := d.PublishCRL(t.Context(), name, CRLOptions{Passphrase: noPassphrase, Validity: time.Hour})
		must(t, err)
	}
	return d
}

func renewing(rollover bool) AuthorityRenewal {
	return AuthorityRenewal{Rollover: rollover, Passphrase: noPassphrase, CRLValidity: time.Hour}
}

func names(entries []*ledger.Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.Name)
	}
	return all
}

// rootsIn returns the ca.crt of a bundle.
func rootsIn(t *testing.T, d *Dir, name string) []*x509.Certificate {
	t.Helper()
	b, err := d.Bundle(name, nil)
	must(t, err)
	return b.Roots
}

// A process that was killed at one moment of a renewal leaves what the next one
// finishes, or nothing.
func TestRenewAuthorityKilled(t *testing.T) {
	t.Parallel()
	marked := func(t *testing.T, d *Dir, p *renewal) { must(t, d.writeChange(change{Authority: p.old.Name})) }
	staged := func(t *testing.T, d *Dir, p *renewal) { marked(t, d, p); stageAll(t, d, &p.item) }
	recorded := func(t *testing.T, d *Dir, p *renewal) { marked(t, d, p); stageAndRecord(t, d, &p.item) }
	published := func(t *testing.T, d *Dir, p *renewal) { recorded(t, d, p); must(t, d.publish(&p.item)) }
	for name, tt := range map[string]struct {
		until func(*testing.T, *Dir, *renewal)
		done  bool
	}{
		"marked":    {marked, false},
		"staged":    {staged, false},
		"on record": {recorded, true},
		"on record, and its roots and CRL lost": {func(t *testing.T, d *Dir, p *renewal) {
			recorded(t, d, p)
			file(t, d, &p.item, RootsFile, nil)
			file(t, d, &p.item, CRLFile, nil)
		}, true},
		"in its place": {published, true},
		"some bundles followed": {func(t *testing.T, d *Dir, p *renewal) {
			published(t, d, p)
			a, err := d.Authority("root", nil)
			must(t, err)
			e, err := d.ledger.Current(t.Context(), "direct.example.com")
			must(t, err)
			b, err := d.bundleNow(t.Context(), e, a)
			must(t, err)
			_, err = d.rewrite(e, b.Chain, b.Roots)
			must(t, err)
		}, true},
	} {
		for kind, rollover := range map[string]bool{"same key": false, "new key": true} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				d := underRoot(t)
				before, err := d.Authority("root", nil)
				must(t, err)
				crl, err := os.ReadFile(d.Path("authorities/root/crl.pem"))
				must(t, err)
				p, err := d.planRenewal(t.Context(), "root", renewing(rollover))
				must(t, err)
				must(t, p.makeKey(d, renewing(rollover)))
				_, err = d.signRenewal(p)
				must(t, err)
				must(t, d.openLedgerToWrite(t.Context()))
				tt.until(t, d, p)

				next := open(t, d.path)
				must(t, next.Finish(t.Context()))
				after, err := next.Authority("root", noPassphrase)
				must(t, err)
				if tt.done == after.Certificate().Equal(before.Certificate()) || !after.CanSign() {
					t.Fatalf("the certificate changed: %v, it can sign: %v", !tt.done, after.CanSign())
				}
				want := 1
				if rollover && tt.done {
					want = 2
				}
				for _, bundle := range []string{"root", "issuing", "a.example.com", "direct.example.com"} {
					roots := rootsIn(t, next, bundle)
					if len(roots) != want || !slices.ContainsFunc(roots, after.Certificate().Equal) {
						t.Errorf("%s has %d roots, %d expected, that of now among them", bundle, len(roots), want)
					}
				}
				if now, err := os.ReadFile(d.Path("authorities/root/crl.pem")); err != nil || !bytes.Equal(now, crl) {
					t.Errorf("the CRL is another: %v", err)
				}
				if !tt.done || !rollover {
					check(t, d.path)
				}
			})
		}
	}
}

func TestRollover(t *testing.T) {
	t.Parallel()
	d := underRoot(t)
	ctx := t.Context()
	old := rootsIn(t, d, "root")[0]
	r, err := d.RenewAuthority(ctx, "root", renewing(true))
	must(t, err)
	left, err := d.ToReissue(ctx, "root")
	must(t, err)
	if diff := cmp.Diff([]string{"issuing", "direct.example.com"}, names(left)); diff != "" {
		t.Errorf("to be issued again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"issuing", "direct.example.com", "a.example.com"}, r.Refreshed); diff != "" {
		t.Errorf("refreshed (-want +got):\n%s", diff)
	}
	if roots := rootsIn(t, d, "a.example.com"); len(roots) != 2 || !roots[0].Equal(old) {
		t.Error("what stands below the former root does not trust it first")
	}
	crls, err := d.CRLs(ctx, "root", false)
	must(t, err)
	if n := bytes.Count(crls, []byte("BEGIN X509 CRL")); n != 2 {
		t.Errorf("there are %d CRLs, not one of each key", n)
	}
	var under *UnderFormerError
	if _, err := d.FinishRollover(ctx, "root", false); !errors.As(err, &under) || len(under.Entries) != 2 {
		t.Errorf("it ended: %v", err)
	}
	var former *FormerKeyError
	_, err = d.Revoke(ctx, []Revocation{{Entry: left[1], Reason: pki.KeyCompromise}}, CRLOptions{Passphrase: noPassphrase, Validity: time.Hour})
	if !errors.As(err, &former) || former.Serial != serialOf(old) || !former.Root {
		t.Errorf("revoking what the former key signed: %v", err)
	}
	_, err = d.RenewAuthority(ctx, "issuing", renewing(false))
	must(t, err)
	if _, err := d.FinishRollover(ctx, "root", true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"root": 1, "issuing": 1, "a.example.com": 1, "direct.example.com": 2} {
		if roots := rootsIn(t, d, name); len(roots) != want {
			t.Errorf("%s has %d roots, not %d", name, len(roots), want)
		}
	}
	if _, err := d.FinishRollover(ctx, "root", false); !errors.Is(err, ErrNoRollover) {
		t.Errorf("it ended twice: %v", err)
	}
}

// What was prepared with an authority as it was before another process renewed it
// is refused.
func TestRenewedMeanwhile(t *testing.T) {
	t.Parallel()
	d := underRoot(t)
	p, err := d.planRenewal(t.Context(), "issuing", renewing(false))
	must(t, err)
	must(t, p.makeKey(d, renewing(false)))
	issued, err := d.signRenewal(p)
	must(t, err)
	jobs, err := d.newSigners("", noPassphrase).jobs([]Order{serverOrder(t, "late.example.com")})
	must(t, err)
	must(t, d.prepareAll(jobs))
	must(t, d.signAll(t.Context(), jobs, noPassphrase, d.urls, false))

	_, err = open(t, d.path).RenewAuthority(t.Context(), "issuing", renewing(false))
	must(t, err)
	if _, err := d.recordRenewal(t.Context(), p, &issued); !errors.Is(err, ErrChanged) {
		t.Errorf("the second renewal: %v", err)
	}
	if _, err := d.record(t.Context(), jobs); !errors.Is(err, ErrChanged) {
		t.Errorf("the certificate: %v", err)
	}
	check(t, d.path)
}
