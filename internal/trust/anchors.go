//go:build !darwin && !windows

package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
)

// A layout is where a family of distributions keeps the roots that an
// administrator adds, and how they become trusted: a file in a folder, a program,
// and a bundle that the program makes, which is what other programs read.
type layout struct {
	folder, ext string
	program     string
	add, remove []string // arguments
	bundles     []string // the first that is there
}

// layouts are, from top to bottom: Fedora and RHEL (update-ca-trust(8)); Debian,
// Ubuntu, Alpine and Gentoo (update-ca-certificates(8)); openSUSE; Arch.
//
// Without --fresh, Debian's leaves the links to a file that is gone where they
// are, in /etc/ssl/certs.
func layouts() []layout {
	return []layout{
		{
			"/etc/pki/ca-trust/source/anchors", ".pem", "update-ca-trust", []string{"extract"}, []string{"extract"},
			[]string{"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/pki/tls/certs/ca-bundle.crt"},
		},
		{
			"/usr/local/share/ca-certificates", ".crt", "update-ca-certificates", nil, []string{"--fresh"},
			[]string{"/etc/ssl/certs/ca-certificates.crt"},
		},
		{
			"/etc/pki/trust/anchors", ".pem", "update-ca-certificates", nil, []string{"--fresh"},
			[]string{"/var/lib/ca-certificates/ca-bundle.pem", "/etc/ssl/ca-bundle.pem"},
		},
		{
			"/etc/ca-certificates/trust-source/anchors", ".crt", "update-ca-trust", []string{"extract"}, []string{"extract"},
			[]string{"/etc/ca-certificates/extracted/tls-ca-bundle.pem", "/etc/ssl/certs/ca-certificates.crt"},
		},
	}
}

// anchors is the store of a system that has one of the layouts.
type anchors struct {
	layout
	folder string
	bundle string
	update string
	sudo   string
}

func (m *Machine) systemStore() *Store {
	s := &Store{Kind: System}
	if runtime.GOOS != "linux" {
		s.Missing, s.Package = "a trust store that mtlsctl knows", "Linux, macOS and Windows"
		return s
	}
	for _, l := range layouts() {
		folder := m.at(l.folder)
		update := m.lookPath(l.program, m.at("/usr/sbin"), m.at("/sbin"))
		if !exists(folder) || update == "" {
			continue
		}
		a := &anchors{layout: l, folder: folder, update: update}
		for _, b := range l.bundles {
			if a.bundle = m.at(b); exists(a.bundle) {
				break
			}
		}
		s.Path, s.Tool = folder, l.program
		s.NeedsRoot = canWrite(folder) != nil || canWrite(filepath.Dir(a.bundle)) != nil
		a.sudo = s.elevate(m)
		s.backend = a
		return s
	}
	s.Missing, s.Package = "update-ca-certificates", "ca-certificates"
	return s
}

// read takes the bundle's word for what is trusted; a file in the folder that
// is not in the bundle is not.
func (a *anchors) read(context.Context) (c Contents, err error) {
	data, err := os.ReadFile(a.bundle)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Contents{}, err
	}
	for _, der := range fromPEM(data) {
		c.entries = append(c.entries, entry{der: der, trusted: true})
	}
	err = filepath.WalkDir(a.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerror // a link to nowhere, or what only root may read
		}
		ders := fromPEM(data)
		if len(ders) == 0 {
			ders = [][]byte{data} // DER, on some systems
		}
		for _, der := range ders {
			c.entries = append(c.entries, entry{der: der, where: path, alone: len(ders) == 1})
		}
		return nil
	})
	return c, err
}

func (a *anchors) place(cert *x509.Certificate) string {
	return filepath.Join(a.folder, nameOf(cert)+a.ext)
}

func (a *anchors) add(ctx context.Context, cert *x509.Certificate) error {
	if err := a.write(ctx, a.place(cert), toPEM(cert)); err != nil {
		return err
	}
	return a.run(ctx, nil, append([]string{a.update}, a.layout.add...)...)
}

// write writes a file that all may read, whatever the umask.
func (a *anchors) write(ctx context.Context, path string, data []byte) error {
	if a.sudo != "" {
		return errors.Join(a.run(ctx, data, "tee", path), a.run(ctx, nil, "chmod", "0644", path))
	}
	root, err := os.OpenRoot(a.folder)
	if err != nil {
		return err
	}
	err = atomicfile.Replace(root, filepath.Base(path), data, 0o644)
	return errors.Join(err, root.Close())
}

// remove removes the files that have the certificate and no other.
func (a *anchors) remove(ctx context.Context, cert *x509.Certificate, in Contents) error {
	removed := false
	for _, e := range in.of(cert) {
		switch {
		case e.where == "":
			continue
		case !e.alone:
			return fmt.Errorf("%w: %s has others too", ErrElsewhere, e.where)
		case a.sudo != "":
			if err := a.run(ctx, nil, "rm", "-f", e.where); err != nil {
				return err
			}
		default:
			if err := os.Remove(e.where); err != nil {
				return err
			}
		}
		removed = true
	}
	if !removed {
		return fmt.Errorf("%w: it is in %s, and in no file of %s", ErrElsewhere, a.bundle, a.folder)
	}
	return a.run(ctx, nil, append([]string{a.update}, a.layout.remove...)...)
}

// run runs a program as root.
func (a *anchors) run(ctx context.Context, stdin []byte, args ...string) error {
	_, err := command{args: args, stdin: bytes.Clone(stdin), sudo: a.sudo}.run(ctx)
	return err
}
