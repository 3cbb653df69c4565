// Package trust puts root certificates into the trust stores of a machine,
// takes them out, and looks whether they are there: those of the system, of
// Firefox and Chromium, and of Java.
//
// It looks before it changes, changes through the program that a store is made
// to be changed with, and looks again: what it reports is what the store says.
// It never asks, prints, or touches a private key. Root rights it takes only by
// sudo, only where [Store.NeedsRoot] has said so.
package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A Kind says whose store it is.
type Kind string

// The kinds, in the order in which [Machine.Stores] has them.
const (
	System   Kind = "system"
	Firefox  Kind = "firefox"
	Chromium Kind = "chromium"
	Java     Kind = "java"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{System, Firefox, Chromium, Java} }

// A Machine is where stores are looked for.
type Machine struct {
	// Getenv gives HOME, PATH, JAVA_HOME, XDG_CONFIG_HOME and XDG_DATA_HOME.
	Getenv func(string) string
	// StorePass is how keytool gets the password of Java's store; the zero value
	// is the one that every JDK comes with.
	StorePass StorePass
	// Root stands before every path that is not below HOME or JAVA_HOME. It is
	// empty but in tests.
	Root string
}

// A Store is one trust store.
type Store struct {
	Kind Kind
	Path string // the file or folder that is changed; empty if there is none
	Tool string // the program that changes it, as it is called

	// Missing is the program without which nothing can be done here, and Package
	// what it comes with; both empty if it is there.
	Missing, Package string
	// NeedsRoot says that this user may not change the store. Sudo then says whether
	// sudo is there, through which it is done.
	NeedsRoot, Sudo bool
	// New says that the store is not there yet, and is made when first used.
	New bool

	backend backend
}

// A backend is what differs from store to store.
type backend interface {
	read(ctx context.Context) (Contents, error)
	add(ctx context.Context, cert *x509.Certificate) error
	remove(ctx context.Context, cert *x509.Certificate, in Contents) error
}

// Why a store cannot be changed.
var (
	// ErrMissing is the error where a program is missing: see [Store.Missing].
	ErrMissing = errors.New("is missing")
	// ErrNeedsRoot is the error where the user may not change the store, and there
	// is no sudo.
	ErrNeedsRoot = errors.New("this user may not change it, and there is no sudo")
	// ErrNotDone is the error where the programs said that all went well, and the
	// store says otherwise.
	ErrNotDone = errors.New("nothing failed, and yet")
	// ErrElsewhere is the error where a certificate is trusted by something that
	// this package must not change.
	ErrElsewhere = errors.New("it cannot be taken out alone")
)

// Stores returns the stores of these kinds that are there, and those that could
// be: with a program to install, or to be made new. all asks for the latter of
// each kind; otherwise Chromium's is made only where there is a Chromium, and
// what is not installed is left out.
func (m *Machine) Stores(all bool, kinds ...Kind) (stores []*Store) {
	for _, k := range Kinds() {
		if !slices.Contains(kinds, k) {
			continue
		}
		switch k {
		case System:
			stores = append(stores, m.systemStore())
		case Firefox:
			stores = append(stores, m.firefoxStores()...)
		case Chromium:
			stores = append(stores, m.chromiumStores(all)...)
		case Java:
			stores = append(stores, m.javaStores()...)
		}
	}
	return stores
}

// Place returns what is written to when a certificate is added: Path, or for a
// store of files the one that is made.
func (s *Store) Place(cert *x509.Certificate) string {
	if p, ok := s.backend.(interface {
		place(cert *x509.Certificate) string
	}); ok {
		return p.place(cert)
	}
	return s.Path
}

// Read returns the certificates of the store. The error is [ErrMissing] where
// the program is missing that could tell.
func (s *Store) Read(ctx context.Context) (Contents, error) {
	switch {
	case s.New:
		return Contents{}, nil
	case s.Missing != "":
		return Contents{}, fmt.Errorf("%s %w", s.Missing, ErrMissing)
	}
	return s.backend.read(ctx)
}

// Install makes the store trust a root certificate, looks that it does, and
// returns what the store has then. It does nothing if it did before, and leaves
// nothing of a change that failed.
func (s *Store) Install(ctx context.Context, cert *x509.Certificate) (Contents, error) {
	if err := s.changeable(); err != nil {
		return Contents{}, err
	}
	before, err := s.Read(ctx)
	if err != nil || before.Trusts(cert) {
		return before, err
	}
	// Half of a change would be worse than a late end.
	ctx = context.WithoutCancel(ctx)
	var after Contents
	if err = s.backend.add(ctx, cert); err == nil {
		s.New = false
		if after, err = s.Read(ctx); err == nil && !after.Trusts(cert) {
			err = fmt.Errorf("%w the store does not trust it", ErrNotDone)
		}
	}
	if err != nil && !before.Has(cert) {
		err = errors.Join(err, s.takeBack(ctx, cert))
	}
	return after, err
}

// takeBack removes what a change that failed may have left.
func (s *Store) takeBack(ctx context.Context, cert *x509.Certificate) error {
	left, err := s.backend.read(ctx)
	if err != nil || !left.Has(cert) {
		return nil //nolint:nilerror // a store that cannot be read is why the change failed
	}
	err = s.backend.remove(ctx, cert, left)
	if left, again := s.backend.read(ctx); again == nil && !left.Has(cert) {
		return nil // the program fails as before, and yet it is gone
	}
	return err
}

// Uninstall takes a certificate out of the store, that one alone, looks that it
// is gone, and returns what the store has then. It does nothing if it was not
// there.
func (s *Store) Uninstall(ctx context.Context, cert *x509.Certificate) (Contents, error) {
	before, err := s.Read(ctx)
	if err != nil || !before.Has(cert) {
		return before, err
	}
	if err := s.changeable(); err != nil {
		return before, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := s.backend.remove(ctx, cert, before); err != nil {
		return before, err
	}
	after, err := s.Read(ctx)
	if err == nil && after.Has(cert) {
		err = fmt.Errorf("%w it is still there", ErrNotDone)
	}
	return after, err
}

func (s *Store) changeable() error {
	switch {
	case s.Missing != "":
		return fmt.Errorf("%s %w", s.Missing, ErrMissing)
	case s.NeedsRoot && !s.Sudo:
		return ErrNeedsRoot
	}
	return nil
}

// Contents are the certificates of a store.
type Contents struct{ entries []entry }

// An entry is a certificate of a store, under a name if the store has names.
type entry struct {
	name    string
	der     []byte
	trusted bool
	where   string // the file with it
	// alone says that the name, or the file, is that of this certificate and no
	// other, so that it can be removed by it.
	alone bool
}

func (c Contents) of(cert *x509.Certificate) (all []entry) {
	for _, e := range c.entries {
		if bytes.Equal(e.der, cert.Raw) {
			all = append(all, e)
		}
	}
	return all
}

// Has reports whether a certificate is in the store, trusted or not.
func (c Contents) Has(cert *x509.Certificate) bool { return len(c.of(cert)) > 0 }

// Trusts reports whether the store trusts a certificate as a root for servers.
func (c Contents) Trusts(cert *x509.Certificate) bool {
	return slices.ContainsFunc(c.of(cert), func(e entry) bool { return e.trusted })
}

// Others returns the certificates of the same name that the store trusts as
// well, such as an authority's from before it was renewed.
func (c Contents) Others(cert *x509.Certificate) (others []*x509.Certificate) {
	for _, e := range c.entries {
		if !e.trusted || bytes.Equal(e.der, cert.Raw) || !bytes.Contains(e.der, cert.RawSubject) {
			continue
		}
		other, err := x509.ParseCertificate(e.der)
		if err == nil && bytes.Equal(other.RawSubject, cert.RawSubject) && !slices.ContainsFunc(others, other.Equal) {
			others = append(others, other)
		}
	}
	return others
}

// maxName is how much of a common name is in a name in a store.
const maxName = 40

// nameOf is what a certificate is called in a store, and its file: no two are
// called the same, and nothing in it means something to a shell or to a program.
func nameOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, cert.Subject.CommonName)
	name = strings.ToLower(strings.Trim(name[:min(len(name), maxName)], "-"))
	return strings.ReplaceAll("mtlsctl-"+name+"-", "--", "-") + hex.EncodeToString(sum[:8])
}

func toPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// fromPEM returns the certificates in a text, whatever else is in it.
func fromPEM(text []byte) (all [][]byte) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return all
		}
		if block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" {
			all = append(all, block.Bytes)
		}
		text = rest
	}
}

// at is a path of the system.
func (m *Machine) at(path string) string {
	if m.Root == "" {
		return path
	}
	return filepath.Join(m.Root, path)
}

func (m *Machine) home(elem ...string) string {
	home := m.Getenv("HOME")
	if home == "" {
		return ""
	}
	return filepath.Join(append([]string{home}, elem...)...)
}
