package export

import (
	"cmp"
	"crypto/sha3"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A StoreType is a kind of file that Java keeps certificates in.
type StoreType string

// The types of stores.
const (
	StoreP12 StoreType = "p12" // PKCS#12, which Java reads since version 8
	StoreJKS StoreType = "jks" // what all versions of Java read
)

// StoreTypes returns all types, the default first.
func StoreTypes() []StoreType { return []StoreType{StoreP12, StoreJKS} }

// ParseStoreType returns the type called s, or an [*OptionError] that lists those
// there are.
func ParseStoreType(s string) (StoreType, error) {
	var names []string
	for _, t := range StoreTypes() {
		if s == string(t) {
			return t, nil
		}
		names = append(names, string(t))
	}
	return "", &OptionError{"type", s, "not known; there are " + strings.Join(names, ", "), ""}
}

// Passwords of truststores. Nothing in them is secret: the password shows only
// that the file is whole.
const (
	// TruststorePassword is the one that Java's own truststore has, and the
	// default.
	TruststorePassword = "changeit"
	// MinTruststorePassword is how many characters keytool wants.
	MinTruststorePassword = 6
)

// Truststore writes the roots as entries that Java trusts, each called after its
// common name. It needs no key, and there is none in it. The same roots and
// options give the same bytes.
//
// Errors: [ErrNoRoots], and [*OptionError] for what the readers would not take.
type Truststore struct {
	// Name is the file's without its ending; empty: "truststore".
	Name string
	// Type is the kind of file; empty: [StoreP12].
	Type StoreType
	// Encoding and For are those of [P12]. JKS is of one kind, and for Java.
	Encoding P12Encoding
	For      []P12Target
	// Password has at least [MinTruststorePassword] characters; empty:
	// [TruststorePassword].
	Password string `json:"-"`
}

// Export implements [Format].
func (f Truststore) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case len(b.Roots) == 0:
		return nil, fmt.Errorf("a truststore holds the roots: %w", ErrNoRoots)
	}
	t, err := ParseStoreType(cmp.Or(string(f.Type), string(StoreP12)))
	if err != nil {
		return nil, err
	}
	write := f.writeP12
	if t == StoreJKS {
		write = f.writeJKS
	}
	data, err := write(b.Roots, cmp.Or(f.Password, TruststorePassword))
	var option *OptionError
	if errors.As(err, &option) && option.Option == "password" {
		option.Suggestion = TruststorePassword
	}
	if err != nil {
		return nil, err
	}
	return []File{{cmp.Or(f.Name, "truststore") + "." + string(t), data, false}}, nil
}

// writeP12 marks the certificates as Java does: go-pkcs12 writes the attribute
// without which it lists none of them.
func (f Truststore) writeP12(roots []*x509.Certificate, password string) ([]byte, error) {
	p := P12{Encoding: f.Encoding, For: f.For}
	encoding, err := p.encoding()
	if err != nil {
		return nil, err
	}
	if err := checkCharacters(password, p.readers()); err != nil {
		return nil, err
	}
	if n := utf8.RuneCountInString(password); n < MinTruststorePassword {
		return nil, refusePassword("%d characters are too few for keytool; %d are the least", n, MinTruststorePassword)
	}
	var entries []pkcs12.TrustStoreEntry
	for i, alias := range rootAliases(roots) {
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: roots[i], FriendlyName: alias})
	}
	// What is public needs no salt that nobody can foresee.
	salt := sha3.NewSHAKE128()
	for _, c := range roots {
		_, _ = salt.Write(c.Raw) // never fails
	}
	data, err := encoding.encoder().WithRand(salt).EncodeTrustStoreEntries(entries, password)
	if err != nil {
		return nil, fmt.Errorf("writing PKCS#12: %w", err)
	}
	return data, nil
}

func (f Truststore) writeJKS(roots []*x509.Certificate, password string) ([]byte, error) {
	if f.Encoding != "" {
		return nil, &OptionError{"encoding", string(f.Encoding), "JKS has no encodings, PKCS#12 has", ""}
	}
	for _, t := range f.For {
		for _, r := range t.readers {
			if r.family != "java" {
				return nil, &OptionError{"for", t.name, "it does not read JKS; Java alone does", ""}
			}
		}
	}
	if err := checkJKSPassword(password, MinTruststorePassword); err != nil {
		return nil, err
	}
	store := jks.New(jks.WithOrderedAliases())
	for i, alias := range rootAliases(roots) {
		if err := trustJKS(store, alias, roots[i], roots[i].NotBefore); err != nil {
			return nil, fmt.Errorf("writing JKS: %w", err)
		}
	}
	data, err := storeJKS(store, []byte(password))
	if err != nil {
		return nil, fmt.Errorf("writing JKS: %w", err)
	}
	return data, nil
}

// rootAliases returns a name for each certificate. To Java, which ignores case,
// no two are the same: of two with one name it would lose one.
func rootAliases(roots []*x509.Certificate) (aliases []string) {
	taken := map[string]bool{}
	for _, c := range roots {
		name := strings.Map(func(r rune) rune {
			if checkName("", string(r)) != nil {
				return '?'
			}
			return r
		}, cmp.Or(c.Subject.CommonName, c.Subject.String(), "root"))
		alias := name
		for n := 2; taken[strings.ToLower(alias)]; n++ {
			alias = fmt.Sprintf("%s %d", name, n)
		}
		taken[strings.ToLower(alias)] = true
		aliases = append(aliases, alias)
	}
	return aliases
}
