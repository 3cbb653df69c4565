package cmd

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"strings"
	"unicode/utf16"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A contentReader finds out what is in a file of which nothing is known.
type contentReader struct {
	// secret returns the password, or nil if none was given. It is called only
	// when there is something to open.
	secret func() ([]byte, error)

	certificates []*x509.Certificate
	requests     []*x509.CertificateRequest
	privateKeys  []*pki.KeyInfo
	publicKeys   [][]byte // SubjectPublicKeyInfo in DER
	crls         []*x509.RevocationList
	p12          *export.P12Info
	p12Empty     bool // it was opened with the empty password
	jks          *export.JKSInfo
	unread       []unreadJSON
	joined       bool  // it was several texts, so that the order says nothing
	fatal        error // the password cannot be had, or is wrong
}

// unreadJSON is a part of the input that show does not read.
type unreadJSON struct {
	Block   int    `json:"block"` // its place among the PEM blocks
	Type    string `json:"type"`  // as in its header
	Problem string `json:"problem"`
}

// read reads data, which is not empty. In PEM, what cannot be read is noted in
// unread, as long as there is something that can.
func (r *contentReader) read(data []byte) error {
	data = decodeText(data)
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("there is nothing in it")
	}
	texts, n := embedded(data)
	for i, form := range [][]byte{data, flushLeft(data), texts} {
		r.joined = i == 2 && n > 1
		if blocks, err := r.readPEM(form); err != nil || blocks > 0 {
			return err
		}
	}
	found, err := r.readDER(data)
	if found || err != nil {
		return err
	}
	if der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), "")); err == nil {
		if found, err := r.readDER(der); found || err != nil {
			return err
		}
	}
	return unrecognised(data)
}

// decodeText takes away what Windows puts around text.
func decodeText(data []byte) []byte {
	if rest, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		return rest
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return data
	}
	var units []uint16
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return []byte(string(utf16.Decode(units)))
}

const pemBegin = "-----BEGIN "

// flushLeft returns text whose PEM blocks are indented, as in YAML, or have \n
// for their line ends, as in JSON, in the form that PEM has.
func flushLeft(data []byte) []byte {
	if !bytes.Contains(data, []byte(pemBegin)) {
		return nil
	}
	lines := bytes.Split(bytes.ReplaceAll(data, []byte(`\n`), []byte("\n")), []byte("\n"))
	for i := range lines {
		line := bytes.TrimSpace(lines[i])
		if at := bytes.Index(line, []byte(pemBegin)); at > 0 {
			line = line[at:] // behind a key of JSON
		}
		lines[i] = line
	}
	return bytes.Join(lines, []byte("\n"))
}

// embedded returns the PEM texts that stand in data in Base64, as in the YAML or
// JSON of a Kubernetes Secret, one after the other, and how many there are.
func embedded(data []byte) (all []byte, n int) {
	const begin = "LS0tLS1CRUdJTi" // that of pemBegin
	for rest := data; ; {
		at := bytes.Index(rest, []byte(begin))
		if at < 0 {
			return all, n
		}
		rest = rest[at:]
		end := bytes.IndexFunc(rest, func(c rune) bool {
			return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '='
		})
		if end < 0 {
			end = len(rest)
		}
		if text, err := base64.StdEncoding.DecodeString(string(rest[:end])); err == nil {
			all = append(append(all, text...), '\n')
			n++
		}
		rest = rest[end:]
	}
}

// readPEM reads all PEM blocks and returns how many there are.
func (r *contentReader) readPEM(data []byte) (blocks int, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		err := r.readBlock(block)
		if r.fatal != nil {
			return blocks, r.fatal
		}
		if err != nil {
			r.unread = append(r.unread, unreadJSON{blocks - 1, block.Type, strings.TrimPrefix(err.Error(), "x509: ")})
		}
	}
	switch found := len(r.certificates) + len(r.requests) + len(r.privateKeys) + len(r.publicKeys) + len(r.crls); {
	case blocks == 0 || found > 0:
		return blocks, nil
	case len(r.unread) > 0:
		u := r.unread[0]
		err := errors.New(u.Type + ": " + u.Problem)
		if strings.Contains(u.Problem, "not read") { // which says what to do, if anything does
			return blocks, err
		}
		return blocks, withHint(err, "it is damaged, or of a rare kind; 'openssl asn1parse -i -in FILE' shows what it consists of")
	}
	return blocks, errors.New("there is nothing in it but the parameters of a key")
}

func (r *contentReader) readBlock(block *pem.Block) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		return r.addCertificate(block.Bytes)
	case "TRUSTED CERTIFICATE": // OpenSSL's: its own notes follow the certificate
		var first asn1.RawValue
		if _, err := asn1.Unmarshal(block.Bytes, &first); err != nil {
			return err
		}
		return r.addCertificate(first.FullBytes)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err == nil {
			r.requests = append(r.requests, csr)
		}
		return err
	case "X509 CRL":
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err == nil {
			r.crls = append(r.crls, crl)
		}
		return err
	case "PUBLIC KEY":
		return r.addPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return r.addRSAPublicKey(block.Bytes)
	case "EC PARAMETERS": // OpenSSL puts them before a key, which has them too
		return nil
	case "OPENSSH PRIVATE KEY":
		return errors.New("an SSH key, which is not read; 'ssh-keygen -p -m PKCS8' turns a copy of it into one that is")
	case "PKCS7", "CMS":
		return errors.New("not read; 'openssl pkcs7 -print_certs' takes out its certificates")
	}
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return r.addPrivateKey(block)
	}
	return errors.New("not read")
}

func (r *contentReader) addCertificate(der []byte) error {
	c, err := x509.ParseCertificate(der)
	if err == nil {
		r.certificates = append(r.certificates, c)
	}
	return err
}

// addPublicKey takes any SubjectPublicKeyInfo, also of kinds that crypto/x509
// does not know.
func (r *contentReader) addPublicKey(der []byte) error {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	rest, err := asn1.Unmarshal(der, &info)
	if err == nil && (len(rest) > 0 || info.Algorithm.Tag != asn1.TagSequence) {
		err = errors.New("not a public key")
	}
	if err == nil {
		r.publicKeys = append(r.publicKeys, der)
	}
	return err
}

func (r *contentReader) addRSAPublicKey(der []byte) error {
	k, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(k)
	if err == nil {
		r.publicKeys = append(r.publicKeys, spki)
	}
	return err
}

func (r *contentReader) addPrivateKey(block *pem.Block) error {
	k, err := pki.InspectKey(block, nil)
	if err != nil {
		return err
	}
	if k.Encrypted {
		secret, err := r.secret()
		if err == nil && len(secret) > 0 {
			k, err = pki.InspectKey(block, secret)
		}
		switch {
		case err == nil:
		case len(secret) == 0:
			r.fatal = err
			return err
		default:
			r.fatal = passwordError(err)
			return err
		}
	}
	r.privateKeys = append(r.privateKeys, k)
	return nil
}

// readDER tries every kind there is. An error means that it is clear what data
// is, and that it cannot be read.
func (r *contentReader) readDER(data []byte) (found bool, err error) {
	if looksLikeP12(data) {
		return true, r.readP12(data)
	}
	if export.LooksLikeJKS(data) {
		return true, r.readJKS(data)
	}
	if certs, err := x509.ParseCertificates(data); err == nil && len(certs) > 0 {
		r.certificates = certs
		return true, nil
	}
	for _, kind := range []string{"CERTIFICATE REQUEST", "X509 CRL", "PUBLIC KEY", "RSA PUBLIC KEY"} {
		if r.readBlock(&pem.Block{Type: kind, Bytes: data}) == nil {
			return true, nil
		}
	}
	if r.addPrivateKey(&pem.Block{Bytes: data}) == nil || r.fatal != nil {
		return true, r.fatal
	}
	if looksLikeCertificate(data) {
		_, err := x509.ParseCertificate(data)
		return false, err
	}
	return false, nil
}

// looksLikeP12 looks for the version 3 that a PFX begins with (RFC 7292 section
// 4), and no other kind of file.
func looksLikeP12(data []byte) bool {
	return len(data) > 0 && data[0] == 0x30 && bytes.Contains(data[:min(len(data), 10)], []byte{2, 1, 3, 0x30})
}

// looksLikeCertificate looks for the version that stands first in a certificate
// (RFC 5280 section 4.1), and in no other kind of file.
func looksLikeCertificate(data []byte) bool {
	return len(data) > 0 && data[0] == 0x30 && bytes.Contains(data[:min(len(data), 14)], []byte{0xa0, 3, 2, 1})
}

// unrecognised is the error for what is of no kind that is known.
func unrecognised(data []byte) error {
	const looked = "not recognised: neither certificate, signing request, key, CRL, PKCS#12 file nor Java keystore, in PEM or DER"
	oid := func(der ...byte) bool { return bytes.Contains(data[:min(len(data), 40)], der) }
	switch {
	case bytes.Contains(data, []byte(pemBegin)):
		return withHint(errors.New("there is the beginning of a PEM block in it, but no whole one"),
			"look whether the END line is there, and nothing but Base64 between the two")
	case bytes.HasPrefix(data, []byte{0xce, 0xce, 0xce, 0xce}):
		return withHint(errors.New("a Java keystore of the kind JCEKS, which is not read"),
			"'keytool -list -v -keystore FILE' shows it; 'keytool -importkeystore -deststoretype PKCS12' turns it into PKCS#12")
	case oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2):
		return withHint(errors.New("a PKCS#7 file, which is not read"),
			"'openssl pkcs7 -inform DER -print_certs' takes out its certificates")
	case bytes.HasPrefix(data, []byte("ssh-")), bytes.HasPrefix(data, []byte("ecdsa-sha2-")):
		return errors.New("an SSH public key, which is not read")
	}
	return withHint(errors.New(looked), "PEM begins with %s..., DER with the byte 30; what is packed or encrypted has to be unpacked first", pemBegin)
}

// passwordError says that what is closed can still be looked at.
func passwordError(err error) error {
	if errors.Is(err, pki.ErrPassphrase) {
		err = export.ErrPassword
	}
	return withHint(err, "without a password, show says what can be seen from outside")
}
