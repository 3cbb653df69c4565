package export

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Limits for files that are looked into: they may come from anybody.
const (
	// MaxP12Size is the largest file that is read, in bytes.
	MaxP12Size = 16 << 20
	// MaxP12Iterations is how many iterations of key derivation a file may ask
	// for in all before it is opened: a few seconds' work. Common are 2048 for
	// each part; NSS and GnuTLS write 600,000.
	MaxP12Iterations = 10_000_000

	maxP12Contents = 64
)

// Reasons why a PKCS#12 file is not read.
var (
	ErrPassword = errors.New("wrong password")
	ErrP12      = errors.New("not a readable PKCS#12 file")
)

// P12Info is what a PKCS#12 file shows of itself.
type P12Info struct {
	// MAC protects the whole; one without an algorithm is absent.
	MAC P12Protection
	// Contents are the parts of the file, in their order.
	Contents []P12Content
	// Opened says that the password was given and fits.
	Opened bool

	needs []int
}

// P12Protection is an algorithm that a password drives.
type P12Protection struct {
	Algorithm  string // as in "PBE-SHA1-3DES"; empty: none
	Iterations int    // of the key derivation; 0 if that is not known
}

// String returns the algorithm and the iterations in words.
func (p P12Protection) String() string {
	switch {
	case p.Algorithm == "":
		return "none"
	case p.Iterations == 0:
		return p.Algorithm
	case p.Iterations == 1:
		return p.Algorithm + ", 1 iteration"
	}
	return fmt.Sprintf("%s, %d iterations", p.Algorithm, p.Iterations)
}

// P12Content is one part of a file: some bags, encrypted together or not.
type P12Content struct {
	Protection P12Protection
	// Bags are the things in it, as far as they can be seen; of an encrypted part
	// that was opened, only the certificates, and without their names.
	Bags []P12Bag
	// Problem says why an encrypted part stayed closed though the password fits;
	// else it is empty.
	Problem string
}

// Kinds of bags (RFC 7292 section 4.2).
const (
	BagKey         = "key"
	BagCertificate = "certificate"
	BagOther       = "other"
)

// P12Bag is one thing in a file.
type P12Bag struct {
	Kind        string            // BagKey, BagCertificate or BagOther
	Name        string            // its friendly name, if it has one
	Protection  P12Protection     // of a key
	Certificate *x509.Certificate // of a certificate; nil if it cannot be parsed
	// Trusted says of a certificate that it has the attribute by which Java knows an
	// entry that it may trust; it lists no certificate that has neither that nor a
	// key.
	Trusted bool
}

// Certificates returns the certificates that can be seen, in their order.
func (i *P12Info) Certificates() (all []*x509.Certificate) {
	for _, b := range i.bags(BagCertificate) {
		if b.Certificate != nil {
			all = append(all, b.Certificate)
		}
	}
	return all
}

// Keys returns how many keys can be seen.
func (i *P12Info) Keys() int { return len(i.bags(BagKey)) }

// Names returns the friendly names that can be seen, each once.
func (i *P12Info) Names() (all []string) {
	for _, c := range i.Contents {
		for _, b := range c.Bags {
			if b.Name != "" && !slices.Contains(all, b.Name) {
				all = append(all, b.Name)
			}
		}
	}
	return all
}

func (i *P12Info) bags(kind string) (all []P12Bag) {
	for _, c := range i.Contents {
		for _, b := range c.Bags {
			if b.Kind == kind {
				all = append(all, b)
			}
		}
	}
	return all
}

// ReadBy returns which importers read the file with the right password, and
// which do not; of those in neither list it is not known. A key whose type no
// certificate shows is taken to be RSA or EC.
func (i *P12Info) ReadBy() (yes, no []P12Reader) {
	needs := slices.Clone(i.needs)
	if slices.Contains(needs, needPBMAC1) {
		// That column is about AES as well, and without the older MAC.
		needs = slices.DeleteFunc(needs, func(n int) bool { return n == needAES })
	}
	if certs := i.Certificates(); len(certs) > 0 && i.Keys() > 0 {
		if _, ok := certs[0].PublicKey.(ed25519.PublicKey); ok {
			needs = append(needs, needEd25519)
		}
	}
	for _, r := range p12Readers {
		answers := ""
		for _, need := range needs {
			answers += string(r.answer(need))
		}
		switch {
		case strings.Contains(answers, "n"):
			no = append(no, r)
		case !strings.Contains(answers, "?"):
			yes = append(yes, r)
		}
	}
	return yes, no
}

// InspectP12 reads what a PKCS#12 file shows without its password: how it is
// protected, and the things outside the encryption. It derives no key. A file
// that is none, is damaged, larger than [MaxP12Size] or protected by public
// keys is an error of cause [ErrP12].
func InspectP12(data []byte) (*P12Info, error) {
	f, err := parseP12(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrP12, err)
	}
	return f.info, nil
}

// OpenP12 is [InspectP12] with the password, which is checked, and with the
// certificates of the encrypted parts. Keys stay closed. The cause of its errors
// is also [ErrPassword]. A file that asks for more than [MaxP12Iterations] is
// refused before any key is derived.
func OpenP12(data []byte, password string) (*P12Info, error) {
	return openP12(data, password, MaxP12Iterations)
}

func openP12(data []byte, password string, iterations int) (*P12Info, error) {
	f, err := parseP12(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrP12, err)
	}
	if strings.ContainsFunc(password, func(r rune) bool { return r > 0xFFFF }) {
		return nil, fmt.Errorf("%w: PKCS#12 has no characters beyond the basic plane of Unicode", ErrPassword)
	}
	if err := f.afford(iterations); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrP12, err)
	}
	if err := f.open(password); err != nil {
		return nil, err
	}
	f.info.Opened = true
	return f.info, nil
}

// afford adds up the iterations that opening takes. A key's own do not count,
// since keys stay closed.
func (f *p12File) afford(limit int) error {
	left := limit - f.info.MAC.Iterations
	for _, c := range f.info.Contents {
		for range f.readings() {
			if left >= 0 {
				left -= c.Protection.Iterations
			}
		}
	}
	if left < 0 {
		return fmt.Errorf("opening it takes more than %d iterations of key derivation", limit)
	}
	return nil
}

// readings is how many times an encrypted content is opened: once for the
// certificates, and where there is no key that they could belong to, once more
// for whether Java trusts them.
func (f *p12File) readings() int {
	if f.info.Keys() > 0 {
		return 1
	}
	return 2
}

// open checks the password and opens the encrypted contents.
func (f *p12File) open(password string) error {
	bmp := bmpPassword(password)
	if f.info.MAC.Algorithm != "" {
		if f.macErr != nil {
			return fmt.Errorf("%w: its password cannot be checked: %w", ErrP12, f.macErr)
		}
		var err error
		if bmp, err = f.checkMAC(bmp); err != nil {
			return err
		}
	}
	for i, e := range f.encrypted {
		if e == nil {
			continue
		}
		c := &f.info.Contents[i]
		if c.Protection.Iterations < 1 {
			c.Problem = "how many iterations it takes cannot be read"
			continue
		}
		certs, err := decryptCertificates(e, bmp)
		var unknown pkcs12.NotImplementedError
		switch {
		case err == nil:
			trusted := f.readings() == 2 && allTrusted(e, bmp)
			for _, cert := range certs {
				c.Bags = append(c.Bags, P12Bag{Kind: BagCertificate, Certificate: cert, Trusted: trusted})
			}
		case f.info.MAC.Algorithm == "" && !errors.As(err, &unknown):
			return ErrPassword
		default:
			c.Problem = "go-pkcs12: " + strings.TrimPrefix(err.Error(), "pkcs12: ")
		}
	}
	return nil
}

// checkMAC returns the password in the form that makes the MAC: some programs
// take no bytes at all for the empty one.
func (f *p12File) checkMAC(bmp []byte) ([]byte, error) {
	forms := [][]byte{bmp}
	if len(bmp) == 2 {
		forms = append(forms, nil)
	}
	for _, form := range forms {
		sum, err := f.mac.sum(f.safe, form)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrP12, err)
		}
		if hmac.Equal(sum, f.digest) {
			return form, nil
		}
	}
	return nil, ErrPassword
}

// decryptCertificates has go-pkcs12 open one encrypted content. Its DecodeChain
// wants exactly one key in a file, so that one that means nothing goes first; a
// content with a key of its own is refused by that, before it can ask for any
// iterations.
func decryptCertificates(e *encryptedData, bmp []byte) ([]*x509.Certificate, error) {
	// An Ed25519 key of 32 zero bytes (RFC 8410 section 7).
	key := append([]byte{0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, make([]byte, 32)...)
	data, err := fileOf(bmp, dataContent(marshal([]safeBag{{ID: oidKeyBag, Value: explicit(key)}})), contentInfo{oidEncryptedData, explicit(marshal(*e))})
	if err != nil {
		return nil, err
	}
	_, first, rest, err := pkcs12.DecodeChain(data, utf8Password(bmp))
	if err != nil {
		return nil, err
	}
	return append([]*x509.Certificate{first}, rest...), nil
}

// allTrusted reports whether go-pkcs12 takes an encrypted content for a
// truststore, as it does if all certificates have Java's attribute.
func allTrusted(e *encryptedData, bmp []byte) bool {
	data, err := fileOf(bmp, contentInfo{oidEncryptedData, explicit(marshal(*e))})
	if err == nil {
		_, err = pkcs12.DecodeTrustStore(data, utf8Password(bmp))
	}
	return err == nil
}

// fileOf makes a file of some contents, with a MAC that costs nothing.
func fileOf(bmp []byte, contents ...contentInfo) ([]byte, error) {
	safe := marshal(contents)
	p := pfx{Version: 3, AuthSafe: dataContent(safe)}
	p.MACData.Mac.Algorithm.Algorithm = oidSHA1
	p.MACData.Iterations = 1
	scheme, err := p.MACData.scheme()
	if err != nil {
		return nil, err
	}
	p.MACData.Mac.Digest, err = scheme.sum(safe, bmp)
	return marshal(p), err
}
