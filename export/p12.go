package export

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"unicode"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/pki"
)

// P12 writes a PKCS#12 file (RFC 7292): the key, the certificate and its chain
// up to and including the root. Key and certificate carry a friendly name, which
// is Java's alias, NSS's nickname and the label that Apple's keychain shows.
//
// The zero value, given a password, writes a file that every known importer
// reads. Errors: [ErrNoKey], and [*OptionError] for what the readers would not
// take.
type P12 struct {
	// Name is the file's without its ending .p12; empty: "tls".
	Name string
	// Encoding is what the readers must understand; empty: the strongest that all
	// of For read, as [BestP12Encoding] says.
	Encoding P12Encoding
	// For is who reads the file. Empty: all that are known, whose oldest knows
	// neither Ed25519 nor passwords beyond ASCII.
	For []P12Target
	// Password encrypts the file. There must be one; [NewPassword] makes one. One
	// that a person chose has under [Compat] at least [MinCompatPassword]
	// characters.
	Password string
	// FriendlyName is shown for key and certificate; empty: the certificate's
	// common name, or else its first subject alternative name.
	FriendlyName string
	// NoRoot leaves the root out.
	NoRoot bool
}

// Export implements [Format].
func (f P12) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case b.Key == nil:
		return nil, fmt.Errorf("a PKCS#12 file holds certificate and key: %w", ErrNoKey)
	}
	issuers := b.Chain[1:]
	if !f.NoRoot {
		issuers = withRoot(b)
	}
	data, err := f.encode(b, issuers)
	if err != nil {
		return nil, err
	}
	return []File{{cmp.Or(f.Name, "tls") + ".p12", data, true}}, nil
}

// NameFor returns the friendly name that the file of a bundle with a certificate
// has.
func (f P12) NameFor(b *pki.Bundle) string { return cmp.Or(f.FriendlyName, leafName(b)) }

// encode writes a file with these certificates beside the leaf, once all is
// found to suit the readers.
func (f P12) encode(b *pki.Bundle, issuers []*x509.Certificate) ([]byte, error) {
	encoding, err := f.encoding()
	if err != nil {
		return nil, err
	}
	readers := f.readers()
	if err := checkKeyType(b.Leaf(), f.For, readers); err != nil {
		return nil, err
	}
	if err := checkPassword(f.Password, encoding, readers); err != nil {
		return nil, err
	}
	name := f.NameFor(b)
	if err := checkName("friendly-name", name); err != nil {
		return nil, err
	}
	data, err := encodeP12(encoding, b.Key, b.Leaf(), issuers, name, f.Password)
	if err != nil {
		return nil, fmt.Errorf("writing PKCS#12: %w", err)
	}
	return data, nil
}

// encoding returns the encoding to use, which all targets read.
func (f P12) encoding() (P12Encoding, error) {
	if f.Encoding == "" {
		return BestP12Encoding(f.For)
	}
	e, err := ParseP12Encoding(string(f.Encoding))
	if err != nil {
		return "", err
	}
	for _, t := range f.For {
		if !t.reads(e) {
			best, err := BestP12Encoding(f.For)
			if err != nil {
				return "", err
			}
			return "", &OptionError{"encoding", string(e), t.name + " is not known to read it", string(best)}
		}
	}
	return e, nil
}

// readers returns who will read the file.
func (f P12) readers() (all []*P12Reader) {
	for _, t := range f.For {
		all = append(all, t.readers...)
	}
	if len(f.For) == 0 {
		for i := range p12Readers {
			all = append(all, &p12Readers[i])
		}
	}
	return all
}

// checkKeyType refuses an Ed25519 key for readers that are not known to take
// one: those who would use it in a browser cannot.
func checkKeyType(leaf *x509.Certificate, targets []P12Target, readers []*P12Reader) error {
	if _, ok := leaf.PublicKey.(ed25519.PublicKey); !ok {
		return nil
	}
	titles := cannot(readers, needEd25519)
	if titles == "" {
		return nil
	}
	var names, able []string
	for _, t := range targets {
		names = append(names, t.name)
	}
	for _, r := range p12Readers {
		if r.answer(needEd25519) == 'y' && !slices.Contains(able, r.family) {
			name := r.Name
			if !slices.ContainsFunc(familyReaders(r.family), func(r *P12Reader) bool { return r.answer(needEd25519) != 'y' }) {
				name = r.family
			}
			able = append(able, name)
		}
	}
	return &OptionError{"for", strings.Join(names, ","), "the key is Ed25519, which is not imported by " + titles, strings.Join(able, ",")}
}

// checkName refuses a name that a key store cannot hold or show; option is the
// word for it.
func checkName(option, name string) error {
	for _, r := range name {
		switch {
		case unicode.IsControl(r), r == unicode.ReplacementChar:
			return &OptionError{option, name, "it has a character that cannot be shown", ""}
		case r > 0xFFFF:
			return &OptionError{option, name, "it has a character beyond the basic plane of Unicode, which key stores cannot hold", ""}
		}
	}
	return nil
}

// withRoot returns the certificates above the leaf, and of the bundle's roots
// the one in which they end: other roots have no place in a key's entry.
func withRoot(b *pki.Bundle) []*x509.Certificate {
	issuers := b.Chain[1:]
	last := b.Chain[len(b.Chain)-1]
	for _, root := range b.Roots {
		if !last.Equal(root) && bytes.Equal(last.RawIssuer, root.RawSubject) && last.CheckSignatureFrom(root) == nil {
			return append(issuers[:len(issuers):len(issuers)], root)
		}
	}
	return issuers
}

// encoder returns the writer of an encoding.
func (e P12Encoding) encoder() *pkcs12.Encoder {
	switch e {
	case Modern2026:
		return pkcs12.Modern2026
	case Modern2023:
		return pkcs12.Modern2023
	}
	// The preset makes the MAC's key with one iteration, for browsers of 1999.
	return pkcs12.LegacyDES.WithIterations(2048)
}

// encodeP12 has go-pkcs12 write and encrypt the key and the issuers, and adds
// the names and the leaf.
func encodeP12(e P12Encoding, key any, leaf *x509.Certificate, issuers []*x509.Certificate, name, password string) ([]byte, error) {
	first, rest := leaf, issuers
	if len(issuers) > 0 {
		first, rest = issuers[0], issuers[1:]
	}
	data, err := e.encoder().Encode(key, first, rest, password)
	if err != nil {
		return nil, err
	}
	return addLeaf(data, leaf, len(issuers) > 0, name, password)
}
