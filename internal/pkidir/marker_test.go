package pkidir

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// signedAll makes what a batch is just before it is recorded.
func signedAll(t *testing.T, d *Dir, orders ...Order) []item {
	t.Helper()
	jobs, err := d.newSigners("", noPassphrase).jobs(orders)
	must(t, err)
	must(t, d.prepareAll(jobs))
	must(t, d.signAll(t.Context(), jobs, noPassphrase, d.urls, false))
	var items []item
	for _, j := range jobs {
		items = append(items, j.item)
	}
	return items
}

// A process that is killed while it records what has no folder leaves no key
// without its certificate, and no certificate without its key.
func TestRecoverKeys(t *testing.T) {
	t.Parallel()
	staged := func(t *testing.T, d *Dir, items []item) {
		_, err := d.stageKeys(t.Context(), items)
		must(t, err)
	}
	recorded := func(t *testing.T, d *Dir, items []item) {
		staged(t, d, items)
		must(t, d.recordItems(t.Context(), ledger.ActionIssue, items))
	}
	for name, c := range map[string]struct {
		until func(t *testing.T, d *Dir, items []item)
		want  outcome
	}{
		"nothing": {func(*testing.T, *Dir, []item) {}, gone},
		"the marker alone": {func(t *testing.T, d *Dir, items []item) {
			var marks []mark
			for _, it := range items {
				id := keyID(&it.entry)
				marks = append(marks, mark{New: &id, Old: it.old})
			}
			must(t, d.writeMarker(marks))
		}, gone},
		"keys":      {staged, gone},
		"on record": {recorded, finished},
		"one of the old keys deleted": {func(t *testing.T, d *Dir, items []item) {
			recorded(t, d, items)
			for _, it := range items {
				if it.old != nil {
					must(t, d.deleteKeys(t.Context(), []keystore.ID{it.old.ID}))
					break
				}
			}
		}, finished},
		"done, and the marker back": {func(t *testing.T, d *Dir, items []item) {
			recorded(t, d, items)
			data, err := os.ReadFile(d.Path(stagingDir, markerFile))
			must(t, err)
			must(t, d.settle(t.Context(), items))
			must(t, os.WriteFile(d.Path(stagingDir, markerFile), data, 0o600))
		}, finished},
		// Power failed, and the disk lost what it had said was safe.
		"the keys lost": {func(t *testing.T, d *Dir, items []item) {
			recorded(t, d, items)
			for _, it := range items {
				must(t, d.deleteKeys(t.Context(), []keystore.ID{keyID(&it.entry)}))
			}
		}, lost},
	} {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, replace), func(t *testing.T) {
				t.Parallel()
				checkKeysRecovered(t, replace, c.until, c.want)
			})
		}
	}
}

func checkKeysRecovered(t *testing.T, replace bool, until func(*testing.T, *Dir, []item), want outcome) {
	t.Helper()
	path := emptyPath(t)
	d := open(t, path)
	orders := []Order{exactOrder(t, "a/one", "a/ca"), exactOrder(t, "a/two", "a/ca"), exactOrder(t, "a/three", "a/ca")}
	mustIssueAll(t, d, exactCA(t, "a/ca", ""), exactOrder(t, "a/other", "a/ca"))
	var old []Issued
	if replace {
		old = mustIssueAll(t, d, orders[:2]...)
		replacing(orders...)
	}
	items := signedAll(t, d, orders...)
	unlock, err := d.lock(t.Context())
	must(t, err)
	must(t, errors.Join(d.checkItems(t.Context(), items, false)...))
	until(t, d, items)
	must(t, unlock())
	must(t, d.Close())

	for range 2 {
		next := open(t, path)
		mustIssueAll(t, next, replacing(exactOrder(t, "a/next", "a/ca"))...)
		check(t, path)
		for i, it := range items {
			e, err := next.ledger.Current(t.Context(), it.entry.Name)
			switch {
			case want == finished:
				must(t, err)
				if e.Serial != it.entry.Serial {
					t.Errorf("%s is %s", e.Name, e.Serial)
				}
			case i < len(old):
				must(t, err)
				if e.Serial != old[i].Entry.Serial {
					t.Errorf("%s is not the old one", e.Name)
				}
			case !errors.Is(err, ledger.ErrNotFound):
				t.Errorf("%s is taken: %v", it.entry.Name, err)
			}
			_, err = next.ledger.BySerial(t.Context(), it.entry.Issuer, it.entry.Serial)
			if onRecord := err == nil; onRecord != (want != gone) {
				t.Errorf("%s is on record: %v", it.entry.Name, onRecord)
			}
		}
	}
	// The names can be used as if nothing had happened.
	mustIssueAll(t, open(t, path), replacing(orders...)...)
	check(t, path)
}

// A removal that was begun is finished once the ledger has it, and else undone.
func TestRecoverRemoval(t *testing.T) {
	t.Parallel()
	for _, onRecord := range []bool{false, true} {
		path := emptyPath(t)
		d := open(t, path)
		all := mustIssueAll(t, d, exactCA(t, "a/ca", ""), exactCA(t, "a/sub", "a/ca"), exactOrder(t, "a/web", "a/ca"), exactOrder(t, "a/stays", "a/ca"))
		entries := []ledger.Entry{all[1].Entry, all[2].Entry}
		var marks []mark
		for _, e := range entries {
			marks = append(marks, mark{Old: &oldMark{keyID(&e), e.Name, e.Kind}})
		}
		unlock, err := d.lock(t.Context())
		must(t, err)
		must(t, d.writeMarker(marks))
		if onRecord {
			must(t, d.ledger.Remove(t.Context(), entries))
		}
		must(t, unlock())
		must(t, d.Close())
		next := open(t, path)
		must(t, next.Finish(t.Context()))
		check(t, path)
		names, err := next.AuthorityNames()
		must(t, err)
		if slices.Contains(names, "a/sub") == onRecord {
			t.Errorf("on record %v: %v", onRecord, names)
		}
	}
}
