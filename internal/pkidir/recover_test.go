package pkidir

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// signed makes what Issue has just before it takes the lock.
func signed(t *testing.T, d *Dir, order Order) item {
	t.Helper()
	jobs, err := d.newSigners("", noPassphrase).jobs([]Order{order})
	must(t, err)
	must(t, d.prepareAll(jobs))
	must(t, d.signAll(t.Context(), jobs, noPassphrase, d.urls, false))
	return jobs[0].item
}

// A crash is a process that was killed at one moment of its commit: what it had
// done by then, and what must be there after the next one.
type crash struct {
	replace bool // there was a certificate of that name
	csr     bool // the key is somebody else's
	until   func(t *testing.T, d *Dir, it *item)
	want    outcome
}

type outcome int

const (
	gone     outcome = iota // as if it had never been; nothing is on record
	finished                // it is in its place
	lost                    // it is on record, and stands for nothing
)

func stageAll(t *testing.T, d *Dir, it *item) {
	t.Helper()
	must(t, d.stage(it))
}

func stageAndRecord(t *testing.T, d *Dir, it *item) {
	t.Helper()
	stageAll(t, d, it)
	must(t, d.ledger.Record(t.Context(), []ledger.Entry{it.entry}, true))
}

// file writes a file of an item's stage, whole or not.
func file(t *testing.T, d *Dir, it *item, name string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(d.Path(stageOf(&it.entry), name), data, 0o600))
}

func remove(t *testing.T, d *Dir, it *item, name string) {
	t.Helper()
	must(t, os.Remove(d.Path(stageOf(&it.entry), name)))
}

func TestRecover(t *testing.T) {
	t.Parallel()
	chain := func(it *item) []byte { return pki.MarshalCertificates(it.chain) }
	for name, c := range map[string]crash{
		"an empty stage": {until: func(t *testing.T, d *Dir, it *item) {
			must(t, d.root.Mkdir(stageOf(&it.entry), atomicfile.PrivateDir))
		}},
		"half a key": {until: func(t *testing.T, d *Dir, it *item) {
			must(t, d.root.Mkdir(stageOf(&it.entry), atomicfile.PrivateDir))
			file(t, d, it, KeyFile, it.key[:20])
		}},
		"staged":                    {until: stageAll},
		"staged, to replace":        {until: stageAll, replace: true},
		"on record":                 {until: stageAndRecord, want: finished},
		"on record, to replace":     {until: stageAndRecord, replace: true, want: finished},
		"on record, without a key":  {until: stageAndRecord, csr: true, want: finished},
		"on record, without a root": {until: func(t *testing.T, d *Dir, it *item) { stageAndRecord(t, d, it); remove(t, d, it, RootsFile) }, want: finished},
		"half a certificate": {until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, ChainFile, chain(it)[:100])
		}, want: finished},
		"whole, beside its place": {until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, ChainFile, chain(it))
		}, want: finished},
		"in its place": {until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			must(t, d.publish(it))
		}, want: finished},
		"exchanged, and the old one there": {replace: true, until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, ChainFile, chain(it))
			_, err := atomicfile.ReplaceDir(d.root, stageOf(&it.entry), targetOf(&it.entry))
			must(t, err)
		}, want: finished},
		"between the two renames, where there is no exchange": {replace: true, until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, ChainFile, chain(it))
			must(t, d.root.Rename(targetOf(&it.entry), stageOf(&it.entry)+".old"))
		}, want: finished},
		"after the two renames, where there is no exchange": {replace: true, until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, ChainFile, chain(it))
			must(t, d.root.Rename(targetOf(&it.entry), stageOf(&it.entry)+".old"))
			must(t, d.root.Rename(stageOf(&it.entry), targetOf(&it.entry)))
		}, want: finished},
		// Power failed, and the disk lost what was written last.
		"the key lost":             {until: func(t *testing.T, d *Dir, it *item) { stageAndRecord(t, d, it); remove(t, d, it, KeyFile) }, want: lost},
		"the key lost, to replace": {replace: true, until: func(t *testing.T, d *Dir, it *item) { stageAndRecord(t, d, it); remove(t, d, it, KeyFile) }, want: lost},
		"the key empty":            {until: func(t *testing.T, d *Dir, it *item) { stageAndRecord(t, d, it); file(t, d, it, KeyFile, nil) }, want: lost},
		"the key of zeros": {until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, KeyFile, make([]byte, len(it.key)))
		}, want: lost},
		"the key of another": {until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, KeyFile, pkitest.KeyPEM(t, "ec-p256", pkitest.LeafKey))
		}, want: lost},
		"the root half": {until: func(t *testing.T, d *Dir, it *item) {
			stageAndRecord(t, d, it)
			file(t, d, it, RootsFile, []byte("half"))
		}, want: finished},
		// What nobody knows.
		"garbage": {until: func(t *testing.T, d *Dir, _ *item) {
			must(t, os.WriteFile(d.Path(stagingDir, "notes"), nil, 0o600))
			must(t, os.MkdirAll(d.Path(stagingDir, "x.y", "z"), 0o700))
			must(t, os.MkdirAll(d.Path(stagingDir, "x"), 0o700))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRecovery(t, c)
		})
	}
}

func checkRecovery(t *testing.T, c crash) {
	t.Helper()
	path := newPath(t)
	d := open(t, path)
	order := serverOrder(t, "a.example.com")
	if c.csr {
		pub, _, err := ed25519.GenerateKey(nil)
		must(t, err)
		order.Request.PublicKey = pub
	}
	var old string
	if c.replace {
		old = issue(t, d, false, serverOrder(t, "a.example.com"))[0].Entry.Serial
	}
	it := signed(t, d, order)
	unlock, err := d.lock(t.Context())
	must(t, err)
	c.until(t, d, &it)
	must(t, unlock())
	must(t, d.Close())

	// The next process that writes puts everything into order; one more finds
	// nothing to do.
	for range 2 {
		next := open(t, path)
		issue(t, next, true, serverOrder(t, "next.example.com"))
		check(t, path)
		l, err := next.Ledger(t.Context())
		must(t, err)
		e, err := l.BySerial(t.Context(), "issuing", it.entry.Serial)
		switch c.want {
		case gone:
			if !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("it is on record: %v, %v", e, err)
			}
		case finished:
			if err != nil || !e.Current {
				t.Errorf("it is not on record as it should be: %v, %v", e, err)
			}
		case lost:
			if err != nil || e.Current {
				t.Errorf("it is not on record as it should be: %v, %v", e, err)
			}
		}
		current, err := l.Current(t.Context(), "a.example.com")
		switch {
		case c.want == finished:
			must(t, err)
			if current.Serial != it.entry.Serial {
				t.Errorf("the name stands for %s", current.Serial)
			}
			key, err := os.ReadFile(next.Path(certificatesDir, "a.example.com", KeyFile))
			if c.csr && !errors.Is(err, fs.ErrNotExist) || !c.csr && string(key) != string(it.key) {
				t.Errorf("the key is another: %v", err)
			}
		case c.replace:
			must(t, err)
			if current.Serial != old {
				t.Errorf("the name stands for %s, not for the old one", current.Serial)
			}
		case !errors.Is(err, ledger.ErrNotFound):
			t.Errorf("the name is taken: %v, %v", current, err)
		}
	}
	// The name can be used as if nothing had happened.
	issue(t, open(t, path), c.replace || c.want == finished, serverOrder(t, "a.example.com"))
	check(t, path)
}

// Authorities that were made together are finished in the order of who signs
// whom, and with the settings that they came with.
func TestRecoverAuthorities(t *testing.T) {
	t.Parallel()
	for try := range 6 { // serials, by which the stages are ordered, are random
		path := newPath(t)
		d := open(t, path)
		orders := []AuthorityOrder{authorityOrder(t, "top", ""), authorityOrder(t, "mid", "top"), authorityOrder(t, "low", "mid")}
		orders[1].Request.PathLen = 1
		orders[2].URLs = pki.URLs{CRL: []string{"http://a.example/low.crl"}}
		items, _, err := signAuthorities(t.Context(), d, orders, d.now, noPassphrase)
		must(t, err)
		unlock, err := d.lock(t.Context())
		must(t, err)
		items[2].settings, err = d.changedSettings("low", map[string]pki.URLs{"low": orders[2].URLs})
		must(t, err)
		var entries []ledger.Entry
		for i := range items {
			stageAll(t, d, &items[i])
			entries = append(entries, items[i].entry)
		}
		must(t, d.ledger.Record(t.Context(), entries, false))
		if try%2 == 1 { // the settings had reached their place
			must(t, d.publishSettings(stageOf(&items[2].entry)))
		}
		must(t, unlock())
		must(t, d.Close())

		next := open(t, path)
		if try < 2 {
			must(t, next.Finish(t.Context()))
		}
		// Whoever names the new authority first gets it, too.
		_, err = next.Issue(t.Context(), []Order{serverOrder(t, "a.example.com")}, IssueOptions{Authority: "low", Passphrase: noPassphrase})
		must(t, err)
		check(t, path)
		again := open(t, path)
		if again.DefaultAuthority() != "low" || len(again.urls("low").CRL) != 1 {
			t.Errorf("default %q, URLs %v", again.DefaultAuthority(), again.urls("low"))
		}
		if _, err := os.Stat(filepath.Join(path, authoritiesDir, "low", settingsFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("settings in the folder of an authority: %v", err)
		}
	}
}

// If the key of an authority was lost before it had a folder, what it signed in
// the same breath is lost, too, and in nobody's way.
func TestRecoverLostAuthority(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	items, _, err := signAuthorities(t.Context(), d, []AuthorityOrder{authorityOrder(t, "top", ""), authorityOrder(t, "low", "top")}, d.now, noPassphrase)
	must(t, err)
	unlock, err := d.lock(t.Context())
	must(t, err)
	var entries []ledger.Entry
	for i := range items {
		stageAll(t, d, &items[i])
		entries = append(entries, items[i].entry)
	}
	must(t, d.ledger.Record(t.Context(), entries, false))
	remove(t, d, &items[0], KeyFile)
	must(t, unlock())
	must(t, d.Close())

	next := open(t, path)
	issue(t, next, false, serverOrder(t, "a.example.com"))
	check(t, path)
	if _, err := next.Authority("low", nil); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("low: %v", err)
	}
	_, err = CreateAuthorities(t.Context(), path, pkitest.Clock, []AuthorityOrder{authorityOrder(t, "top", ""), authorityOrder(t, "low", "top")}, AuthorityOptions{Passphrase: noPassphrase})
	must(t, err)
	check(t, path)
}

// A key that cannot be read is not a key that is lost: it stays.
func TestRecoverLockedKey(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	it := signed(t, d, serverOrder(t, "a.example.com"))
	unlock, err := d.lock(t.Context())
	must(t, err)
	stageAndRecord(t, d, &it)
	key := d.Path(stageOf(&it.entry), KeyFile)
	must(t, os.Remove(key))
	must(t, os.Mkdir(key, 0o700)) // not even root reads that
	must(t, unlock())
	must(t, d.Close())
	if err := open(t, path).Finish(t.Context()); err == nil || !strings.Contains(err.Error(), "finishing ") {
		t.Errorf("Finish = %v", err)
	}
	if _, err := os.Stat(key); err != nil {
		t.Error("the key is gone")
	}
}

// Who only reads changes nothing, and sees what is on record.
func TestReadersDoNotRecover(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	it := signed(t, d, serverOrder(t, "a.example.com"))
	unlock, err := d.lock(t.Context())
	must(t, err)
	stageAndRecord(t, d, &it)
	must(t, unlock())
	must(t, d.Close())
	r := open(t, path)
	l, err := r.Ledger(t.Context())
	must(t, err)
	if _, err := l.Current(t.Context(), "a.example.com"); err != nil {
		t.Error(err)
	}
	if _, err := r.Bundle("a.example.com", noPassphrase); !errors.Is(err, ErrNoBundle) {
		t.Errorf("Bundle = %v", err)
	}
	if _, err := os.Stat(r.Path(stageOf(&it.entry), KeyFile)); err != nil {
		t.Error(err)
	}
}
