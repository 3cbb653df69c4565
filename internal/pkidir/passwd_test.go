package pkidir

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"os"
	"path"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

func secret(s string) Passphrase { return func() ([]byte, error) { return []byte(s), nil } }

// loggedKeyChanges returns what the log says of key files.
func loggedKeyChanges(t *testing.T, d *Dir) (all []string) {
	t.Helper()
	l, err := d.Ledger(t.Context())
	must(t, err)
	must(t, l.EachLog(t.Context(), ledger.LogFilter{}, func(e *ledger.LogEntry) error {
		if e.Action == ledger.ActionPasswd {
			all = append(all, e.Name+" "+e.Detail)
		}
		return nil
	}))
	return all
}

// publicKey opens the key of the authority "issuing" with a passphrase.
func publicKey(t *testing.T, d *Dir, passphrase string) crypto.PublicKey {
	t.Helper()
	b, err := d.Bundle("issuing", secret(passphrase))
	if err != nil || b.Key == nil {
		t.Fatalf("with %q: %v", passphrase, err)
	}
	return b.Key.Public()
}

func TestChangePassphrase(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	d.SetCommand("passwd")
	key := publicKey(t, d, "")
	for _, step := range []struct {
		old, next, change string
		err               error
	}{
		{"", "", "", nil},
		{"", "one", PassphraseAdded, nil},
		{"wrong", "two", "", pki.ErrPassphrase},
		{"one", "two", PassphraseChanged, nil},
		{"one", "", "", pki.ErrPassphrase},
		{"two", "", PassphraseRemoved, nil},
	} {
		file := d.AuthorityKeyPath("issuing")
		before, err := os.ReadFile(file)
		must(t, err)
		change, err := d.ChangePassphrase(t.Context(), "issuing", secret(step.old), secret(step.next))
		if !errors.Is(err, step.err) || err == nil && change.Change != step.change {
			t.Fatalf("%+v: %+v, %v", step, change, err)
		}
		after, readErr := os.ReadFile(file)
		must(t, readErr)
		if unchanged := bytes.Equal(before, after); unchanged != (err != nil || step.change == "") {
			t.Errorf("%+v: unchanged: %t", step, unchanged)
		}
		if err == nil && (pki.KeyIsEncrypted(after) != (step.next != "") || !pki.SamePublicKey(publicKey(t, d, step.next), key)) {
			t.Errorf("%+v: not the same key, or not closed by it", step)
		}
	}
	if diff := cmp.Diff([]string{"issuing added", "issuing changed", "issuing removed"}, loggedKeyChanges(t, d)); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	check(t, path)

	for called, tt := range map[string]struct {
		authority string
		do        func()
		want      error
	}{
		"unknown": {"nobody", func() {}, ErrNoAuthority},
		"no key":  {"root", func() { must(t, os.RemoveAll(d.AuthorityKeyPath("root"))) }, pki.ErrNoKey},
		"another key": {"root", func() {
			data, err := os.ReadFile(d.AuthorityKeyPath("issuing"))
			must(t, err)
			must(t, os.WriteFile(d.AuthorityKeyPath("root"), data, 0o600))
		}, pki.ErrKeyMismatch},
	} {
		tt.do()
		if _, err := d.ChangePassphrase(t.Context(), tt.authority, secret(""), secret("x")); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", called, err)
		}
		_ = os.Remove(d.AuthorityKeyPath("root"))
	}
}

// Two at once: the later one sees that the key is another's file now.
func TestChangePassphraseTwice(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d, other := open(t, path), open(t, path)
	_, err := d.ChangePassphrase(t.Context(), "issuing", noPassphrase, func() ([]byte, error) {
		_, err := other.ChangePassphrase(t.Context(), "issuing", noPassphrase, secret("other"))
		return []byte("mine"), err
	})
	if !errors.Is(err, ErrKeyChanged) {
		t.Error(err)
	}
	publicKey(t, d, "other")
	if diff := cmp.Diff([]string{"issuing added"}, loggedKeyChanges(t, d)); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

// Killed at each moment, a change has happened or has not, in the file as in the
// log.
func TestRecoverPassphrase(t *testing.T) {
	t.Parallel()
	record := func(t *testing.T, d *Dir) {
		e, err := d.ledger.Current(t.Context(), "issuing")
		must(t, err)
		must(t, d.ledger.RecordKeyChange(t.Context(), e, PassphraseChanged))
	}
	stage := func(t *testing.T, d *Dir, data []byte) {
		must(t, atomicfile.Replace(d.root, path.Join(stagingDir, stagedKeyName("issuing", 2)), data, atomicfile.Private))
	}
	for name, tt := range map[string]struct {
		until func(t *testing.T, d *Dir, data []byte)
		want  string
	}{
		"half a file": {func(t *testing.T, d *Dir, data []byte) {
			must(t, os.WriteFile(d.Path(stagingDir, atomicfile.TempName()), data[:20], 0o600))
		}, "one"},
		"staged": {stage, "one"},
		"in the log": {func(t *testing.T, d *Dir, data []byte) {
			stage(t, d, data)
			record(t, d)
		}, "two"},
		"in its place": {func(t *testing.T, d *Dir, data []byte) {
			stage(t, d, data)
			record(t, d)
			must(t, d.recoverPassphrase(t.Context(), stagedKeyName("issuing", 2)))
		}, "two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			d := open(t, path)
			_, err := d.ChangePassphrase(t.Context(), "issuing", noPassphrase, secret("one"))
			must(t, err)
			b, err := d.Bundle("issuing", secret("one"))
			must(t, err)
			data, err := rewrittenKey(b.Key, []byte("two"))
			must(t, err)
			unlock, err := d.lock(t.Context())
			must(t, err)
			tt.until(t, d, data)
			must(t, unlock())
			if _, err := d.Bundle("issuing", secret(tt.want)); err != nil && tt.want == "one" {
				t.Errorf("before it is finished: %v", err)
			}
			next := open(t, path)
			must(t, next.Finish(t.Context()))
			publicKey(t, next, tt.want)
			if n := len(loggedKeyChanges(t, next)); n != map[string]int{"one": 1, "two": 2}[tt.want] {
				t.Errorf("%d changes are in the log", n)
			}
			left, err := os.ReadDir(d.Path(stagingDir))
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// The key of an authority may be in a file elsewhere, and is held to what holds
// for it in its own place.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	d := open(t, newPath(t))
	away := path.Join(t.TempDir(), "root.key")
	must(t, os.Rename(d.AuthorityKeyPath("root"), away))
	sign := func(file string) error {
		d.SetKeyFile(file)
		_, err := d.PublishCRL(t.Context(), "root", CRLOptions{Passphrase: noPassphrase, Validity: 3600e9})
		return err
	}
	var elsewhere *KeyFileError
	if err := sign(""); !errors.Is(err, pki.ErrNoKey) || errors.As(err, &elsewhere) {
		t.Errorf("without it: %v", err)
	}
	if err := sign(away); err != nil {
		t.Errorf("with it: %v", err)
	}
	must(t, d.CheckSigner(t.Context(), "root", true))
	// What is in its own place needs no other.
	if _, err := d.PublishCRL(t.Context(), "issuing", CRLOptions{Passphrase: noPassphrase, Validity: 3600e9}); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		file string
		want error
	}{{d.AuthorityKeyPath("issuing"), pki.ErrKeyMismatch}, {path.Join(d.path, "nowhere"), os.ErrNotExist}, {d.Path(settingsFile), ErrLooseKeyMode}} {
		if runtime.GOOS == "windows" && errors.Is(tt.want, ErrLooseKeyMode) {
			continue
		}
		if err := sign(tt.file); !errors.Is(err, tt.want) || !errors.As(err, &elsewhere) || elsewhere.Authority != "root" {
			t.Errorf("%s: %v", tt.file, err)
		}
	}
}

func TestLooseFolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes")
	}
	d := open(t, newPath(t))
	must(t, os.Chmod(d.Path(authorityFolder("issuing")), 0o750))
	if _, err := d.Authority("issuing", noPassphrase); !errors.Is(err, ErrLooseFolderMode) {
		t.Error(err)
	}
	if _, err := d.Bundle("issuing", noPassphrase); !errors.Is(err, ErrLooseFolderMode) {
		t.Error(err)
	}
	if _, err := d.Authority("issuing", nil); err != nil {
		t.Errorf("without the key: %v", err)
	}
}

// The root's key is written elsewhere and nowhere else, or not at all.
func TestKeyOut(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	dir, out := path.Join(work, "pki"), path.Join(work, "root.key")
	create := func(ctx context.Context, file string, names ...string) error {
		orders := []AuthorityOrder{authorityOrder(t, names[0], "")}
		orders[0].KeyOut = file
		for _, n := range names[1:] {
			orders = append(orders, authorityOrder(t, n, names[0]))
		}
		_, err := CreateAuthorities(ctx, dir, pkitest.Clock, orders, AuthorityOptions{Passphrase: noPassphrase})
		return err
	}
	for file, want := range map[string]error{work: ErrKeyOutExists, path.Join(work, "no", "root.key"): os.ErrNotExist} {
		if err := create(t.Context(), file, "root"); !errors.Is(err, want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	must(t, create(t.Context(), out, "root", "issuing"))
	d := open(t, dir)
	if _, err := os.Stat(d.AuthorityKeyPath("root")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key is in the directory: %v", err)
	}
	info, err := os.Stat(out)
	must(t, err)
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %o", info.Mode().Perm())
	}
	d.SetKeyFile(out)
	if a, err := d.Authority("root", noPassphrase); err != nil || !a.CanSign() {
		t.Errorf("it does not sign: %v", err)
	}
	if err := create(t.Context(), d.Path(certificatesDir, "x.key"), "more"); !errors.Is(err, ErrKeyOutInside) {
		t.Errorf("in the directory: %v", err)
	}
	// What comes to nothing leaves no key: here, a name that is taken, found late.
	orders := []AuthorityOrder{authorityOrder(t, "late", "")}
	orders[0].KeyOut = path.Join(work, "late.key")
	items, _, err := signAuthorities(t.Context(), d, orders, pkitest.Clock, noPassphrase)
	must(t, err)
	unlock, err := d.lock(t.Context())
	must(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, os.RemoveAll(d.Path(stagingDir)))
	if err := d.commitWithKeys(cancelled, items); err == nil {
		t.Error("it went through without a staging folder")
	}
	must(t, unlock())
	if _, err := os.Stat(orders[0].KeyOut); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was left: %v", err)
	}
	must(t, os.Mkdir(d.Path(stagingDir), 0o700))

	// Killed right after the ledger had it, it is finished, and needs no key.
	unlock, err = d.lock(t.Context())
	must(t, err)
	must(t, items[0].keyOut.write())
	must(t, d.stage(&items[0]))
	must(t, d.ledger.Record(t.Context(), []ledger.Entry{items[0].entry}, false))
	must(t, unlock())
	next := open(t, dir)
	must(t, next.Finish(t.Context()))
	names, err := next.AuthorityNames()
	if err != nil || !slices.Contains(names, "late") {
		t.Errorf("the authorities are %v, %v", names, err)
	}
}
