package export

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	jks "github.com/pavlo-v-chernykh/keystore-go/v4"

	"github.com/mtlsctl/mtlsctl/pki"
)

// JKS writes a Java keystore of the old kind: one entry of the key with its
// chain, up to and including the root. Java reads PKCS#12 since version 8, which
// protects a key better: JKS hides it behind one round of SHA-1.
//
// Errors: [ErrNoKey], and [*OptionError] for what Java would not take.
type JKS struct {
	// Name is the file's without its ending .jks; empty: "tls".
	Name string
	// Alias names the entry, and is written in lower case, as Java looks it up;
	// empty: the certificate's common name, or else its first subject alternative
	// name.
	Alias string
	// Password encrypts the key and protects the file: Java's tools want one for
	// both. It has at least [MinJKSPassword] characters of ASCII; [NewPassword]
	// makes one.
	Password string
	// NoRoot leaves the root out.
	NoRoot bool
}

// MinJKSPassword is how many characters the password of a keystore must have. A
// guess costs one SHA-1, of which a graphics card makes ten thousand million a
// second: twelve random letters and digits last 15 years, sixteen 25 million.
const MinJKSPassword = 16

// Export implements [Format].
func (f JKS) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case b.Key == nil:
		return nil, fmt.Errorf("a keystore holds certificate and key: %w", ErrNoKey)
	}
	alias := f.AliasFor(b)
	if err := checkName("alias", alias); err != nil {
		return nil, err
	}
	if err := checkJKSPassword(f.Password, MinJKSPassword); err != nil {
		return nil, err
	}
	chain := b.Chain
	if !f.NoRoot {
		chain = append(b.Chain[:1:1], withRoot(b)...)
	}
	store := jks.New()
	if err := addJKSKey(store, alias, b, chain, []byte(f.Password)); err != nil {
		return nil, fmt.Errorf("writing JKS: %w", err)
	}
	data, err := storeJKS(store, []byte(f.Password))
	if err != nil {
		return nil, fmt.Errorf("writing JKS: %w", err)
	}
	return []File{{cmp.Or(f.Name, "tls") + ".jks", data, true}}, nil
}

// AliasFor returns the alias that the entry of a bundle with a certificate has.
func (f JKS) AliasFor(b *pki.Bundle) string { return strings.ToLower(cmp.Or(f.Alias, leafName(b))) }

// checkJKSPassword refuses what Java's tools cannot be given, and what is
// shorter than least.
func checkJKSPassword(password string, least int) error {
	if err := checkCharacters(password, familyReaders("java")); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(password); n < least {
		return refusePassword("%d characters are too few for JKS, which protects no short password; %d are the least", n, least)
	}
	return nil
}

// addJKSKey adds the bundle's key with a chain, dated by the leaf's beginning.
func addJKSKey(store jks.KeyStore, alias string, b *pki.Bundle, chain []*x509.Certificate, password []byte) error {
	key, err := x509.MarshalPKCS8PrivateKey(b.Key)
	if err != nil {
		return err
	}
	entry := jks.PrivateKeyEntry{CreationTime: b.Leaf().NotBefore, PrivateKey: key}
	for _, c := range chain {
		entry.CertificateChain = append(entry.CertificateChain, jksCertificate(c))
	}
	return store.SetPrivateKeyEntry(alias, entry, password)
}

// trustJKS adds a certificate that Java is to trust.
func trustJKS(store jks.KeyStore, alias string, c *x509.Certificate, created time.Time) error {
	return store.SetTrustedCertificateEntry(alias, jks.TrustedCertificateEntry{CreationTime: created, Certificate: jksCertificate(c)})
}

func jksCertificate(c *x509.Certificate) jks.Certificate {
	return jks.Certificate{Type: "X509", Content: c.Raw}
}

func storeJKS(store jks.KeyStore, password []byte) ([]byte, error) {
	var out bytes.Buffer
	err := store.Store(&out, password)
	return out.Bytes(), err
}
