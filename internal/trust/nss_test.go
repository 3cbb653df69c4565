//go:build !windows

package trust

import (
	"crypto/x509"
	"errors"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// TestNSSNames is databases in which certificates of one subject have names of
// ours and of others.
func TestNSSNames(t *testing.T) {
	t.Parallel()
	root, other := roots(t)
	third, _ := roots(t)
	for name, tt := range map[string]struct {
		names   [3]string // of root, other and third; empty for one that is not there
		removed bool      // whether the root can be removed
	}{
		"ours":                     {[3]string{nameOf(root), nameOf(other), nameOf(third)}, true},
		"another's, and one alone": {[3]string{"root", "", ""}, true},
		"another's, and ours":      {[3]string{"root", nameOf(other), nameOf(third)}, true},
		"ours, and another's":      {[3]string{nameOf(root), "same name", "same name"}, true},
		"one name for two":         {[3]string{"same name", "same name", ""}, false},
		"names of others":          {[3]string{"one", "two", "three"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			n := &nss{certutil: pkitest.Program(t, "certutil"), dir: dir}
			s := &Store{Kind: Firefox, Path: dir, backend: n}
			n.store = s
			must := func(stdin []byte, args ...string) {
				t.Helper()
				if _, err := n.run(t.Context(), stdin, args...); err != nil {
					t.Fatal(err)
				}
			}
			must(nil, "-N", "--empty-password")
			var there []*x509.Certificate
			for i, cert := range []*x509.Certificate{root, other, third} {
				if tt.names[i] != "" {
					must(toPEM(cert), "-A", "-t", "C,,", "-n", tt.names[i])
					there = append(there, cert)
				}
			}
			look := func(in Contents, gone bool) {
				t.Helper()
				for i, cert := range there {
					if want := i > 0 || !gone; in.Trusts(cert) != want {
						t.Errorf("certificate %d: trusted %t, want %t", i, in.Trusts(cert), want)
					}
				}
			}
			in, err := s.Read(t.Context())
			if err != nil || len(in.entries) != len(there) {
				t.Fatalf("%v: %d entries", err, len(in.entries))
			}
			look(in, false)
			after, err := s.Uninstall(t.Context(), root)
			if tt.removed != (err == nil) || err != nil && !errors.Is(err, ErrElsewhere) {
				t.Errorf("to uninstall: %v", err)
			}
			look(after, tt.removed)
		})
	}
}
