//go:build linux

package trust

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// updateStandIn stands in for update-ca-certificates: it makes the bundle from
// the files, and notes how it was called. The real one is in internal/e2e.
const updateStandIn = `#!/bin/sh
cd "$(dirname "$0")/.."
echo "$(basename "$0") $*" >>log
cat usr/local/share/ca-certificates/*.crt >etc/ssl/certs/ca-certificates.crt 2>/dev/null
exit 0
`

// sudoStandIn stands in for sudo, and notes what it was asked to do.
const sudoStandIn = `#!/bin/sh
shift
echo "sudo $1" >>"$(dirname "$0")/../log"
exec "$@"
`

// debian is a folder laid out as Debian's files are, with stand-ins for its
// programs.
func debian(t *testing.T) (dir string, m *Machine) {
	t.Helper()
	dir = t.TempDir()
	lay(t, dir, "usr/local/share/ca-certificates/", "etc/ssl/certs/ca-certificates.crt", "bin/", "usr/sbin/")
	for file, script := range map[string]string{"bin/update-ca-certificates": updateStandIn, "bin/sudo": sudoStandIn} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir, machine(dir)
}

// log is what the stand-ins noted, below the folder.
func log(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), dir, "")
}

func TestSystemWithStandIns(t *testing.T) {
	t.Parallel()
	root, other := roots(t)
	for name, tt := range map[string]struct {
		sudo      bool
		installed string
		removed   string
	}{
		"by the user": {false, "update-ca-certificates \n", "update-ca-certificates --fresh\n"},
		"by sudo": {
			true, "sudo tee\nsudo chmod\nsudo /bin/update-ca-certificates\nupdate-ca-certificates \n",
			"sudo rm\nsudo /bin/update-ca-certificates\nupdate-ca-certificates --fresh\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, m := debian(t)
			store := func() *Store {
				s := m.Stores(false, System)[0]
				if tt.sudo { // which root, who may run this, would not need
					s.NeedsRoot = true
					a, ok := s.backend.(*anchors)
					if !ok {
						t.Fatalf("the store is a %T", s.backend)
					}
					a.sudo = s.elevate(m)
				}
				return s
			}
			s := store()
			if _, err := s.Install(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			if got := log(t, dir); got != tt.installed {
				t.Errorf("to install it ran\n%s", got)
			}
			place := s.Place(root)
			if info, err := os.Stat(place); err != nil || info.Mode().Perm() != 0o644 || filepath.Dir(place) != s.Path {
				t.Errorf("%s: %v, %v", place, info, err)
			}
			if _, err := s.Install(t.Context(), root); err != nil || log(t, dir) != tt.installed {
				t.Errorf("again: %v, and it ran\n%s", err, log(t, dir))
			}
			if _, err := store().Install(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			before := log(t, dir)
			if _, err := s.Uninstall(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimPrefix(log(t, dir), before); got != tt.removed {
				t.Errorf("to uninstall it ran\n%s", got)
			}
			in, err := s.Read(t.Context())
			if err != nil || in.Has(root) || !in.Trusts(other) {
				t.Errorf("afterwards: %v, has %t, trusts the other %t", err, in.Has(root), in.Trusts(other))
			}
			if _, err := s.Uninstall(t.Context(), root); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// What goes wrong leaves nothing behind, and what is not ours to remove stays.
func TestSystemRefuses(t *testing.T) {
	t.Parallel()
	root, other := roots(t)
	write := func(t *testing.T, file string, data string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
	}
	const anchors, bundle, update = "usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt", "bin/update-ca-certificates"
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, dir string, s *Store)
		do      func(ctx context.Context, s *Store) (Contents, error)
		want    error
		text    string
	}{
		"the program fails": {
			func(t *testing.T, dir string, _ *Store) {
				write(t, filepath.Join(dir, update), "#!/bin/sh\necho no room >&2\nexit 7\n", 0o700)
			},
			func(ctx context.Context, s *Store) (Contents, error) { return s.Install(ctx, root) }, nil, "update-ca-certificates: no room",
		},
		"the program does nothing": {
			func(t *testing.T, dir string, _ *Store) {
				write(t, filepath.Join(dir, update), "#!/bin/sh\nexit 0\n", 0o700)
			},
			func(ctx context.Context, s *Store) (Contents, error) { return s.Install(ctx, root) }, ErrNotDone, "",
		},
		"no sudo": {
			func(_ *testing.T, _ string, s *Store) { s.NeedsRoot, s.Sudo = true, false },
			func(ctx context.Context, s *Store) (Contents, error) { return s.Install(ctx, root) }, ErrNeedsRoot, "",
		},
		"a file with others": {
			func(t *testing.T, dir string, _ *Store) {
				write(t, filepath.Join(dir, anchors, "all.crt"), string(toPEM(root))+string(toPEM(other)), 0o600)
			},
			func(ctx context.Context, s *Store) (Contents, error) { return s.Uninstall(ctx, root) }, ErrElsewhere, "",
		},
		"in the bundle alone": {
			func(t *testing.T, dir string, _ *Store) {
				write(t, filepath.Join(dir, bundle), string(toPEM(root)), 0o600)
			},
			func(ctx context.Context, s *Store) (Contents, error) { return s.Uninstall(ctx, root) }, ErrElsewhere, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, m := debian(t)
			s := m.Stores(false, System)[0]
			tt.prepare(t, dir, s)
			before, _ := os.ReadDir(filepath.Join(dir, anchors))
			_, err := tt.do(t.Context(), s)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v", err)
			}
			if after, _ := os.ReadDir(filepath.Join(dir, anchors)); len(after) != len(before) {
				t.Errorf("it left %v", after)
			}
		})
	}
}

func TestFindSystem(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files []string
		want  string
	}{
		"Fedora":                 {[]string{"etc/pki/ca-trust/source/anchors/", "bin/update-ca-trust"}, "system /etc/pki/ca-trust/source/anchors"},
		"Debian, not root":       {[]string{"usr/local/share/ca-certificates/", "usr/sbin/update-ca-certificates"}, "system /usr/local/share/ca-certificates"},
		"openSUSE":               {[]string{"etc/pki/trust/anchors/", "bin/update-ca-certificates"}, "system /etc/pki/trust/anchors"},
		"Arch":                   {[]string{"etc/ca-certificates/trust-source/anchors/", "bin/update-ca-trust"}, "system /etc/ca-certificates/trust-source/anchors"},
		"a folder, no program":   {[]string{"etc/pki/ca-trust/source/anchors/"}, "system  without update-ca-certificates"},
		"a folder of another":    {[]string{"etc/pki/ca-trust/source/anchors/", "usr/local/share/ca-certificates/", "bin/update-ca-certificates"}, "system /usr/local/share/ca-certificates"},
		"a minimal installation": {nil, "system  without update-ca-certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lay(t, dir, tt.files...)
			stores := machine(dir).Stores(false, System)
			if diff := cmp.Diff([]string{tt.want}, found(dir, stores)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := stores[0].Read(t.Context()); (stores[0].Missing != "") != errors.Is(err, ErrMissing) {
				t.Errorf("to read it: %v", err)
			}
		})
	}
}
