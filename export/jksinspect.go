package export

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
)

// MaxJKSSize is the largest keystore that is read, in bytes.
const MaxJKSSize = MaxP12Size

// maxJKSCertificates is how many certificates, and how many entries, a keystore
// may have; Java's own has 150.
const maxJKSCertificates = 10_000

// ErrJKS says that a file is no Java keystore that can be read.
var ErrJKS = errors.New("not a readable Java keystore (JKS)")

// JKSInfo is what a Java keystore shows of itself. Only keys are encrypted.
type JKSInfo struct {
	// Entries are in the order of the file.
	Entries []JKSEntry
	// Opened says that the password was given and fits the whole. A key may have
	// another one.
	Opened bool
}

// JKSEntry is one entry of a keystore.
type JKSEntry struct {
	Alias   string
	Created time.Time // to the millisecond; zero if it is no year that is ever written
	// Key says that it is a private key, encrypted, with its chain. Any other
	// entry is one certificate, which Java trusts.
	Key bool
	// Certificates are those that can be parsed, the key's own first.
	Certificates []*x509.Certificate
	// Unread is how many cannot.
	Unread int
}

// Certificates returns the certificates of all entries, in their order.
func (i *JKSInfo) Certificates() (all []*x509.Certificate) {
	for _, e := range i.Entries {
		all = append(all, e.Certificates...)
	}
	return all
}

// LooksLikeJKS looks for the number that a JKS file begins with.
func LooksLikeJKS(data []byte) bool { return bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}) }

// InspectJKS reads what a keystore shows without its password: all but the keys.
// A file that is none, is damaged, is larger than [MaxJKSSize], or has more than
// ten thousand entries or certificates is an error of cause [ErrJKS].
func InspectJKS(data []byte) (*JKSInfo, error) {
	info, err := parseJKS(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJKS, err)
	}
	return info, nil
}

// OpenJKS is [InspectJKS] with the password, by which it is checked that nobody
// changed the file. Keys stay closed. The cause of its errors is also
// [ErrPassword]: a changed file and a wrong password look the same.
func OpenJKS(data []byte, password string) (*JKSInfo, error) {
	info, err := InspectJKS(data)
	if err != nil {
		return nil, err
	}
	// What is left to go wrong is the digest at the end: keystore-go allocates what
	// the lengths in the file say, and they have been found to be true.
	if err := jks.New().Load(bytes.NewReader(data), []byte(password)); err != nil {
		return nil, fmt.Errorf("%w, or the keystore was changed", ErrPassword)
	}
	info.Opened = true
	return info, nil
}

// A jksReader takes a keystore apart, as sun.security.provider.JavaKeyStore of
// OpenJDK writes it: numbers are big-endian, and each piece is preceded by its
// length. After an error all reads return nothing.
type jksReader struct {
	rest  []byte
	certs int
	err   error
}

func (r *jksReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// bytes returns the next n bytes.
func (r *jksReader) bytes(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.rest)) {
		r.fail("it is cut off, or a length in it is wrong")
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// number returns a number of n bytes, or 0.
func (r *jksReader) number(n int) uint64 {
	var buf [8]byte
	copy(buf[8-n:], r.bytes(uint64(n)))
	return binary.BigEndian.Uint64(buf[:])
}

// text returns a string, which Java writes in a UTF-8 of its own.
func (r *jksReader) text() string { return strings.ToValidUTF8(string(r.bytes(r.number(2))), "\ufffd") }

// count returns how many of something follow.
func (r *jksReader) count(what string) int {
	n := r.number(4)
	if n > maxJKSCertificates {
		r.fail("it has %d %s, and %d are read at most", n, what, maxJKSCertificates)
		return 0
	}
	return int(n)
}

// certificate reads one certificate into an entry.
func (r *jksReader) certificate(version uint64, e *JKSEntry) {
	kind := "X.509"
	if version == 2 { // version 1 has no other kinds
		kind = r.text()
	}
	der := r.bytes(r.number(4))
	if r.certs++; r.certs > maxJKSCertificates {
		r.fail("it has more than %d certificates", maxJKSCertificates)
	}
	if r.err != nil {
		return
	}
	c, err := x509.ParseCertificate(der)
	if err != nil || kind != "X.509" && kind != "X509" {
		e.Unread++
		return
	}
	e.Certificates = append(e.Certificates, c)
}

// The tags of entries.
const (
	jksKey  = 1
	jksCert = 2
)

func (r *jksReader) entry(version uint64) JKSEntry {
	tag := r.number(4)
	e := JKSEntry{Alias: r.text(), Key: tag == jksKey}
	if t := time.UnixMilli(int64(r.number(8))).UTC(); t.Year() > 0 && t.Year() < 10_000 {
		e.Created = t
	}
	switch tag {
	case jksKey:
		r.bytes(r.number(4)) // the key
		for range r.count("certificates for a key") {
			if r.certificate(version, &e); r.err != nil {
				break
			}
		}
	case jksCert:
		r.certificate(version, &e)
	default:
		r.fail("it has an entry of the unknown kind %d", tag)
	}
	return e
}

func parseJKS(data []byte) (*JKSInfo, error) {
	if len(data) > MaxJKSSize {
		return nil, fmt.Errorf("it has %d bytes, and %d are read at most", len(data), MaxJKSSize)
	}
	if !LooksLikeJKS(data) {
		return nil, errors.New("it begins otherwise")
	}
	r := &jksReader{rest: data[4:]}
	version := r.number(4)
	if r.err == nil && version != 1 && version != 2 {
		r.fail("it has version %d, not 1 or 2", version)
	}
	info := &JKSInfo{}
	for range r.count("entries") {
		e := r.entry(version)
		if r.err != nil {
			break
		}
		info.Entries = append(info.Entries, e)
	}
	const digest = 20 // SHA-1
	if r.bytes(digest); r.err == nil && len(r.rest) > 0 {
		r.fail("there is something after its end")
	}
	if r.err != nil {
		return nil, r.err
	}
	return info, nil
}
