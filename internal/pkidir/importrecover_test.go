package pkidir

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A ledger whose import was cut short after it was on record: what has a name gets
// its folder, what has none needs none, and to do it again changes nothing.
func TestRecoverImportLedger(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	ca := elsewhere(t, d, "old")
	in := LedgerImport{
		Authority: "old", Certificates: []CertificateImport{signs(t, ca, "web", 0), signs(t, ca, "web", 1)},
		Revoked: []pki.Revocation{{Serial: signs(t, ca, "lost", 0).Cert.SerialNumber, At: pkitest.Clock()}},
	}
	unlock, err := d.lock(t.Context())
	must(t, err)
	w := &ledgerWriter{d: d, a: ca, by: "old", revoked: map[string]bool{}}
	must(t, w.sort(t.Context(), in.Certificates, &LedgerImported{}))
	items, err := w.items(t.Context())
	must(t, err)
	if len(items) != 2 || items[0].entry.Current || !items[1].entry.Current {
		t.Fatalf("%+v", items)
	}
	must(t, d.stage(&items[1]))
	must(t, d.ledger.RecordEach(t.Context(), ledger.ActionImport, len(items), func(i int) (*ledger.Entry, bool) { return &items[i].entry, false }))
	must(t, unlock())
	must(t, d.Close())

	d = open(t, path)
	done, err := d.ImportLedger(t.Context(), in)
	if err != nil || len(done.Issued) != 0 || done.Known != 2 || done.Revoked != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := os.Stat(d.Path("certificates", "web", ChainFile)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"web old false superseded", "web old true valid"}, states(t, d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	check(t, path)
}
