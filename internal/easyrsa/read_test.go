package easyrsa

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// leaf signs a certificate, and returns it with its PEM.
func leaf(t *testing.T, a *pki.Authority, cn string) (*x509.Certificate, []byte) {
	t.Helper()
	b, err := a.Issue(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: cn}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Leaf(), pki.MarshalCertificates([]*x509.Certificate{b.Leaf()})
}

func TestRead(t *testing.T) {
	t.Parallel()
	ca := pkitest.Root(t)
	for _, folder := range []string{".", "pki", "keys"} {
		fsys := fstest.MapFS{}
		put := func(name string, data []byte) { fsys[path.Join(folder, name)] = &fstest.MapFile{Data: data} }
		put("ca.crt", pki.MarshalCertificates([]*x509.Certificate{ca.Certificate()}))
		index := ""
		// Wherever a version of easy-rsa has put it, it is found.
		places := []string{
			"certs_by_serial/%s.pem", "revoked/certs_by_serial/%s.crt", "renewed/certs_by_serial/%s.crt", "%s.pem",
			"issued/a b.crt", "expired/old.crt", "client.crt",
		}
		var want []string
		for i, place := range places {
			c, text := leaf(t, ca, fmt.Sprintf("client-%d", i))
			if i < 4 {
				place = fmt.Sprintf(place, fileName(c.SerialNumber))
			}
			put(place, append([]byte("Certificate:\n    Data:\n"), text...))
			index += fmt.Sprintf("V\t290224070442Z\t\t%s\tunknown\t/CN=client-%d\n", fileName(c.SerialNumber), i)
			want = append(want, c.Subject.CommonName)
		}
		// What is not there, not readable, and another one.
		_, other := leaf(t, ca, "other")
		put("certs_by_serial/0B.pem", []byte("junk"))
		put("certs_by_serial/0C.pem", other)
		index += "V\t290224070442Z\t\t0A\tunknown\t/CN=x\nV\t290224070442Z\t\t0B\tunknown\t/CN=x\nV\t290224070442Z\t\t0C\tunknown\t/CN=x\n"
		want = append(want, "its certificate is not there", "certs_by_serial/0B.pem: no certificate in it", "certs_by_serial/0C.pem has another serial")
		put("index.txt", []byte(index))

		l, err := Read(fsys)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range l.Entries {
			if e.Certificate == nil {
				got = append(got, e.Problem)
			} else {
				got = append(got, e.Certificate.Subject.CommonName)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || l.Folder != folder || !ca.Certificate().Equal(l.CA) {
			t.Errorf("%s, CA %v (-want +got):\n%s", l.Folder, l.CA, diff)
		}
	}

	if _, err := Read(fstest.MapFS{"README": {}}); !errors.Is(err, ErrNoIndex) {
		t.Errorf("of nothing: %v", err)
	}
	var line *LineError
	if _, err := Read(fstest.MapFS{"pki/index.txt": {Data: []byte("junk")}}); !errors.As(err, &line) || err.Error() != "pki/index.txt: line 1: it has 1 fields with tabs between them, and not 6" {
		t.Errorf("of junk: %v", err)
	}
	if _, err := Read(fstest.MapFS{"index.txt": {Mode: fs.ModeDir}}); err == nil || errors.Is(err, ErrNoIndex) {
		t.Errorf("of a folder: %v", err)
	}
	if l, err := Read(fstest.MapFS{"index.txt": {}}); err != nil || l.CA != nil || len(l.Entries) != 0 {
		t.Errorf("of an empty one: %+v, %v", l, err)
	}
}
