package pkidir

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// backup returns a backup of the directory at path.
func backup(t testing.TB, path string, withoutKeys bool) ([]byte, Backup) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "backup"))
	must(t, err)
	defer f.Close() //nolint:errcheck // of a test
	d, err := Open(path, pkitest.Clock)
	must(t, err)
	b, err := d.Backup(t.Context(), f, withoutKeys)
	must(t, errors.Join(err, d.Close()))
	data, err := os.ReadFile(f.Name())
	must(t, err)
	return data, b
}

// in is an order of a certificate in a namespace.
func in(t testing.TB, namespace, called string) Order {
	o := serverOrder(t, called)
	o.Name = name(t, namespace+"/"+called)
	return o
}

// rich is a directory with everything that can be in one.
func rich(t testing.TB) string {
	t.Helper()
	path := newPath(t)
	d, err := Open(path, pkitest.Clock)
	must(t, err)
	issue(t, d, false, serverOrder(t, "web"), in(t, "prod", "web"))
	_, err = d.PublishCRL(t.Context(), "issuing", CRLOptions{Passphrase: noPassphrase, Validity: time.Hour})
	must(t, err)
	must(t, errors.Join(d.Close(), os.WriteFile(filepath.Join(path, profilesDir, "mine.yaml"), []byte("usages: []\n"), 0o600)))
	return path
}

// contentsOf returns the texts and modes of all files below path but those of the
// databases.
func contentsOf(t testing.TB, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(path, file)
		must(t, err)
		name = filepath.ToSlash(name)
		if strings.Contains(name, ".db") || name == lockFile {
			return nil
		}
		info, err := e.Info()
		must(t, err)
		data, err := os.ReadFile(file)
		all[name] = info.Mode().String() + "\n" + string(data)
		return err
	}))
	return all
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	path := rich(t)
	for _, outside := range []string{"notes.txt", "certificates/.git/x", "certificates/web/old/tls.key"} {
		must(t, errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(path, outside)), 0o700), os.WriteFile(filepath.Join(path, outside), nil, 0o600)))
	}
	must(t, os.WriteFile(filepath.Join(path, "certificates/web/extra.p12"), []byte("key"), 0o644))
	data, b := backup(t, path, false)
	wantLeft := []string{filepath.Join(path, "certificates/.git/x"), filepath.Join(path, "certificates/web/old"), filepath.Join(path, "notes.txt")}
	if diff := cmp.Diff(Backup{At: pkitest.Clock().UTC().Truncate(time.Second), Files: 15, Keys: true, LeftOut: wantLeft}, b); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	must(t, errors.Join(os.RemoveAll(filepath.Join(path, "certificates/.git")), os.RemoveAll(filepath.Join(path, "certificates/web/old")),
		os.Remove(filepath.Join(path, "notes.txt")), os.Chmod(filepath.Join(path, "certificates/web/extra.p12"), 0o600),
		os.Chmod(filepath.Join(path, profilesDir, "mine.yaml"), 0o644)))
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	_, err := z.Write(data)
	must(t, errors.Join(err, z.Close()))

	later := func() time.Time { return pkitest.Clock().Add(24 * time.Hour) }
	empty := t.TempDir()
	for place, archive := range map[string][]byte{
		filepath.Join(t.TempDir(), "deep", "pki"): data, filepath.Join(t.TempDir(), "pki"): small.Bytes(), empty: data,
	} {
		r, err := Restore(t.Context(), place, later, bytes.NewReader(archive), "restore")
		must(t, err)
		day, hour := int64(24*time.Hour/time.Millisecond), int64(time.Hour/time.Millisecond)
		want := Restored{At: b.At, Files: b.Files, Keys: true, Taken: []ledger.Reserve{{Issuer: "issuing", Number: day + hour + 1}, {Issuer: "root", Number: day + hour}}}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(contentsOf(t, path), contentsOf(t, place)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", place, diff)
		}
		must(t, os.Remove(filepath.Join(place, "certificates/web/extra.p12")))
		check(t, place)
		// It works, and its CRLs go on above.
		d, err := Open(place, later)
		must(t, err)
		issue(t, d, false, serverOrder(t, "after"), in(t, "prod", "after"))
		crl, err := d.PublishCRL(t.Context(), "issuing", CRLOptions{Passphrase: noPassphrase, Validity: time.Hour})
		if err != nil || crl.Number != day+hour+2 {
			t.Errorf("number %d, %v", crl.Number, err)
		}
		var log []string
		l, err := d.Ledger(t.Context())
		must(t, err)
		must(t, l.EachLog(t.Context(), ledger.LogFilter{}, func(e *ledger.LogEntry) error {
			if e.Name == "" {
				log = append(log, e.Command+" "+string(e.Action)+" "+e.Detail)
			}
			return nil
		}))
		if diff := cmp.Diff([]string{" backup with keys", "restore restore " + b.At.Format(time.RFC3339)}, log); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		must(t, d.Close())
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(place), ".mtlsctl-*")); err != nil || len(left) > 0 {
			t.Errorf("%v was left, %v", left, err)
		}
	}
}

func TestBackupWithoutKeys(t *testing.T) {
	t.Parallel()
	path := rich(t)
	must(t, os.WriteFile(filepath.Join(path, "certificates/web/web.pem"), []byte("PRIVATE KEY"), 0o600))
	data, b := backup(t, path, true)
	if b.Keys || bytes.Contains(data, []byte("PRIVATE KEY")) {
		t.Errorf("%+v: there is a key in it", b)
	}
	place := filepath.Join(t.TempDir(), "pki")
	r, err := Restore(t.Context(), place, pkitest.Clock, bytes.NewReader(data), "restore")
	must(t, err)
	if r.Keys || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	for name, text := range contentsOf(t, place) {
		if strings.Contains(name, "key") || strings.Contains(text, "PRIVATE") {
			t.Errorf("%s came of it", name)
		}
	}
	d := open(t, place)
	if _, err := d.Issue(t.Context(), []Order{serverOrder(t, "x")}, IssueOptions{Passphrase: noPassphrase}); !errors.As(err, new(*KeyMissingError)) {
		t.Errorf("issued without a key: %v", err)
	}
	if b, err := d.Bundle("prod/web", noPassphrase); err != nil || b.Key != nil {
		t.Errorf("%v", err)
	}
}

// What is taken while others write is what there was between two of them.
func TestBackupWhileOthersWrite(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, who := range []Order{serverOrder(t, "a"), in(t, "prod", "a")} {
		wg.Go(func() {
			d, err := Open(path, pkitest.Clock)
			if err != nil {
				t.Error(err)
				return
			}
			defer d.Close() //nolint:errcheck // of a test
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := d.Issue(t.Context(), []Order{who}, IssueOptions{Passphrase: noPassphrase, Replace: true}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5 {
		data, _ := backup(t, path, false)
		place := filepath.Join(t.TempDir(), "pki")
		r, err := Restore(t.Context(), place, pkitest.Clock, bytes.NewReader(data), "restore")
		if err != nil || len(r.Warnings) > 0 {
			t.Errorf("%v, %v", r.Warnings, err)
			continue
		}
		check(t, place)
	}
	close(stop)
	wg.Wait()
}

// rewrite returns an archive with other entries; change may return nil to drop one.
func rewrite(t testing.TB, data []byte, change func(*tar.Header, []byte) (*tar.Header, []byte)) []byte {
	t.Helper()
	var out bytes.Buffer
	r, w := tar.NewReader(bytes.NewReader(data)), tar.NewWriter(&out)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		if h, text = change(h, text); h == nil {
			continue
		}
		h.Size = int64(len(text))
		must(t, w.WriteHeader(h))
		_, err = w.Write(text)
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	data, _ := backup(t, rich(t), false)
	named := func(from, to string) []byte {
		return rewrite(t, data, func(h *tar.Header, text []byte) (*tar.Header, []byte) {
			if h.Name == from {
				h.Name = to
			}
			return h, text
		})
	}
	typed := func(kind byte, link string) []byte {
		return rewrite(t, data, func(h *tar.Header, text []byte) (*tar.Header, []byte) {
			if h.Name == "certificates/web/tls.key" {
				h.Typeflag, h.Linkname, text = kind, link, nil
			}
			return h, text
		})
	}
	edited := func(name string, edit func([]byte) []byte) []byte {
		return rewrite(t, data, func(h *tar.Header, text []byte) (*tar.Header, []byte) {
			if h.Name != name {
				return h, text
			}
			if text = edit(text); text == nil {
				return nil, nil
			}
			return h, text
		})
	}
	gone := func([]byte) []byte { return nil }
	tests := map[string][]byte{
		"nothing":      nil,
		"text":         []byte("what is this?"),
		"cut off":      data[:len(data)/2],
		"half zipped":  {0x1f, 0x8b, 8},
		"no end":       edited(contentsFile, gone),
		"no ledger":    edited(ledgerFile, gone),
		"a file less":  edited("certificates/web/tls.key", gone),
		"a file more":  edited(contentsFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"certificates/web/ca.crt"`), []byte(`"x"`), 1) }),
		"another byte": edited("certificates/web/tls.crt", func(b []byte) []byte { return append(b, ' ') }),
		"a version":    edited(contentsFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"version": 1`), []byte(`"version": 2`), 1) }),
		"no time":      edited(contentsFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"at"`), []byte(`"as"`), 1) }),
		"a link":       typed(tar.TypeSymlink, "/etc/passwd"),
		"a hard link":  typed(tar.TypeLink, "certificates/web/tls.crt"),
		"a device":     typed(tar.TypeChar, ""),
		"a folder":     typed(tar.TypeDir, ""),
	}
	for _, name := range []string{
		"../evil", "/etc/evil", "certificates/../../evil", "certificates/web/../x/tls.key", `certificates\web\x`, "certificates//tls.key", "evil",
		".lock", ".staging/keys", "certificates/web/x/y", "certificates/.x/tls.key", "authorities/x", "profiles/x", "profiles/a/b.yaml",
		"ledger.db-journal", "certificates/web/tls.crt", "CERTIFICATES/web/tls.key", "certificates/we:b/tls.key", "certificates/web/a\nb", "",
	} {
		tests["called "+name] = named("certificates/web/tls.key", name)
	}
	for name, archive := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			if _, err := Restore(t.Context(), filepath.Join(parent, "deep", "pki"), pkitest.Clock, bytes.NewReader(archive), "restore"); !errors.Is(err, ErrBackup) {
				t.Errorf("%v; want %v", err, ErrBackup)
			}
			if _, err := Restore(t.Context(), parent, pkitest.Clock, bytes.NewReader(archive), "restore"); !errors.Is(err, ErrBackup) {
				t.Errorf("into an empty folder: %v", err)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
				t.Errorf("%v was left, %v", left, err)
			}
		})
	}
}

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	for _, kind := range []byte{tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeDir, tar.TypeFifo, tar.TypeGNUSparse} {
		if checkHeader(&tar.Header{Name: "ledger.db", Typeflag: kind}) == nil {
			t.Errorf("an entry of type %q was taken", kind)
		}
	}
	holes := map[string]string{"GNU.sparse.major": "1"}
	if checkHeader(&tar.Header{Name: "ledger.db", Typeflag: tar.TypeReg, PAXRecords: holes}) == nil {
		t.Error("an entry with holes was taken")
	}
	if err := checkHeader(&tar.Header{Name: "ledger.db", Typeflag: tar.TypeReg}); err != nil {
		t.Error(err)
	}
}

// What was wrong before is there again, and is named.
func TestRestoreWarns(t *testing.T) {
	t.Parallel()
	path := rich(t)
	key, err := os.ReadFile(filepath.Join(path, "authorities/root/tls.key"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(path, "certificates/web/tls.key"), key, 0o600))
	data, _ := backup(t, path, false)
	place := filepath.Join(t.TempDir(), "pki")
	r, err := Restore(t.Context(), place, pkitest.Clock, bytes.NewReader(data), "restore")
	if err != nil || len(r.Warnings) != 1 || r.Warnings[0] != filepath.Join(place, "certificates/web")+": "+pki.ErrKeyMismatch.Error() {
		t.Errorf("%q, %v", r.Warnings, err)
	}
	if _, err := Restore(t.Context(), place, pkitest.Clock, bytes.NewReader(data), "restore"); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over another: %v", err)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(filepath.Join(place, keysFile)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}

func TestRestoreDamagedLedger(t *testing.T) {
	t.Parallel()
	path := rich(t)
	// A page that an index and its table disagree about, and a database that opens.
	data, err := os.ReadFile(filepath.Join(path, ledgerFile))
	must(t, err)
	copy(data[len(data)-4096:], bytes.Repeat([]byte{0xff}, 4096))
	must(t, os.WriteFile(filepath.Join(path, ledgerFile), data, 0o600))
	f, err := os.Create(filepath.Join(t.TempDir(), "b"))
	must(t, err)
	defer f.Close() //nolint:errcheck // of a test
	d := open(t, path)
	if _, err := d.Backup(t.Context(), f, false); err != nil {
		if !errors.Is(err, ledger.ErrDamaged) {
			t.Error(err)
		}
		return
	}
	archive, err := os.Open(f.Name())
	must(t, err)
	defer archive.Close() //nolint:errcheck // of a test
	parent := t.TempDir()
	if _, err := Restore(t.Context(), filepath.Join(parent, "pki"), pkitest.Clock, archive, "restore"); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("%v was left, %v", left, err)
	}
}

func TestNumberJump(t *testing.T) {
	t.Parallel()
	at := pkitest.Clock()
	for elapsed, want := range map[time.Duration]int64{0: 3_600_000, -time.Hour: 3_600_000, time.Second: 3_601_000} {
		if got := numberJump(at, at.Add(elapsed)); got != want {
			t.Errorf("%v: %d; want %d", elapsed, got, want)
		}
	}
}

// Whatever is in an archive, it stays within its folder, and there is an error or
// the files that the contents name.
func FuzzExtract(f *testing.F) {
	data, _ := backup(f, newPath(f), true)
	small := rewrite(f, data, func(h *tar.Header, text []byte) (*tar.Header, []byte) {
		if h.Name == ledgerFile {
			text = nil
		}
		return h, text
	})
	f.Add(data[:min(len(data), 4096)])
	f.Add(small)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(small)
	must(f, errors.Join(err, w.Close()))
	f.Add(z.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		parent := t.TempDir()
		at := filepath.Join(parent, "pki")
		must(t, os.Mkdir(at, 0o700))
		root, err := os.OpenRoot(at)
		must(t, err)
		defer root.Close() //nolint:errcheck // of a test
		must(t, makeFolders(root))
		c, err := extract(bytes.NewReader(data), root)
		if beside, _ := os.ReadDir(parent); len(beside) != 1 {
			t.Fatalf("it led out: %v", beside)
		}
		if err != nil {
			return
		}
		for _, file := range c.Files {
			info, err := root.Lstat(file.Name)
			if err != nil || !info.Mode().IsRegular() || info.Size() != file.Size {
				t.Errorf("%s: %v, %v", file.Name, info, err)
			}
		}
	})
}
