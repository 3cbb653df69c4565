package easyrsa

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A Ledger is what easy-rsa has on record.
type Ledger struct {
	Folder  string            // the one with the index, below what was read
	CA      *x509.Certificate // nil if there is none
	Entries []Issued
}

// Issued is an entry with its certificate, or with what it lacks.
type Issued struct {
	Entry
	Certificate *x509.Certificate
	Problem     string // why there is no certificate
}

// ErrNoIndex says that a folder is not one of easy-rsa.
var ErrNoIndex = errors.New("there is no index.txt")

// indexFile is what makes a folder one of easy-rsa.
const indexFile = "index.txt"

// Where the certificate with a serial is, in the versions of easy-rsa and in
// folders of `openssl ca`.
var bySerial = []string{
	"certs_by_serial/%s.pem", "revoked/certs_by_serial/%s.crt", "renewed/certs_by_serial/%s.crt",
	"revoked/certs_by_serial/%s.pem", "%s.pem", "newcerts/%s.pem",
}

// Folders with certificates whose names are not serials.
var byName = []string{"issued", "renewed/issued", "expired", ".", "certs"}

// Read reads an easy-rsa folder: the one with the index, or the one that easyrsa
// was run in. Errors are of cause [ErrNoIndex] and [*LineError], and say which file
// is meant.
func Read(fsys fs.FS) (*Ledger, error) {
	for _, folder := range []string{".", "pki", "keys"} {
		index := path.Join(folder, indexFile)
		data, err := fs.ReadFile(fsys, index)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries, err := ParseIndex(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", index, err)
		}
		sub, err := fs.Sub(fsys, folder)
		if err != nil {
			return nil, err
		}
		l := &Ledger{Folder: folder}
		l.CA, _ = certificate(sub, "ca.crt")
		r := reader{fsys: sub}
		for _, e := range entries {
			i := Issued{Entry: e}
			i.Certificate, i.Problem = r.find(e.Serial)
			l.Entries = append(l.Entries, i)
		}
		return l, nil
	}
	return nil, ErrNoIndex
}

// reader finds certificates.
type reader struct {
	fsys  fs.FS
	named map[string]*x509.Certificate // by serial; nil until it is needed
}

// find returns the certificate with a serial, or why there is none.
func (r *reader) find(serial *big.Int) (*x509.Certificate, string) {
	name := fileName(serial)
	problem := ""
	for _, pattern := range bySerial {
		file := fmt.Sprintf(pattern, name)
		c, err := certificate(r.fsys, file)
		switch {
		case err == nil && c.SerialNumber.Cmp(serial) == 0:
			return c, ""
		case err == nil:
			problem = file + " has another serial"
		case !errors.Is(err, fs.ErrNotExist):
			problem = fmt.Sprintf("%s: %v", file, err)
		}
	}
	if r.named == nil {
		r.readNamed()
	}
	if c := r.named[serial.String()]; c != nil {
		return c, ""
	}
	if problem == "" {
		problem = "its certificate is not there"
	}
	return nil, problem
}

// fileName writes a serial as OpenSSL does: whole bytes, in capitals.
func fileName(serial *big.Int) string {
	s := fmt.Sprintf("%X", serial)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return s
}

// readNamed reads the certificates that have names.
func (r *reader) readNamed() {
	r.named = map[string]*x509.Certificate{}
	for _, folder := range byName {
		files, err := fs.ReadDir(r.fsys, folder)
		if err != nil {
			continue
		}
		for _, f := range files {
			if f.IsDir() || !strings.HasSuffix(f.Name(), ".crt") {
				continue
			}
			// What cannot be read is missed where it is looked for.
			if c, err := certificate(r.fsys, path.Join(folder, f.Name())); err == nil && !c.IsCA {
				r.named[c.SerialNumber.String()] = c
			}
		}
	}
}

func certificate(fsys fs.FS, file string) (*x509.Certificate, error) {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}
