package pki_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestMarshalSAN(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		names pki.ExactNames
		want  string // in hexadecimal
	}{
		"nothing": {pki.ExactNames{}, ""},
		"as they stand": {pki.ExactNames{DNS: []string{"B", "a", "B", ""}},
			"300b" + "820142" + "820161" + "820142" + "8200"},
		"in their order": {pki.ExactNames{
			URIs: []string{"u:"}, IPs: []string{"10.0.0.1"}, Emails: []string{"e"}, DNS: []string{"d"},
			Others: []pki.OtherName{{OID: asn1.ObjectIdentifier{1, 2}, Value: "ü"}},
		}, "301b" + "820164" + "810165" + "87040a000001" + "8602753a" + "a009" + "06012a" + "a004" + "0c02c3bc"},
		"addresses": {pki.ExactNames{IPs: []string{"::ffff:10.0.0.1", "::1"}},
			"3018" + "87040a000001" + "871000000000000000000000000000000001"},
	} {
		der, err := pki.MarshalSAN(tt.names)
		if got := hex.EncodeToString(der); err != nil || got != tt.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, tt.want)
		}
	}
}

func TestMarshalSANRefuses(t *testing.T) {
	t.Parallel()
	other := func(value string, id ...int) pki.ExactNames {
		return pki.ExactNames{Others: []pki.OtherName{{OID: id, Value: value}}}
	}
	for want, names := range map[string]pki.ExactNames{
		`DNS "ü": a certificate holds it in ASCII only`:                                      {DNS: []string{"a", "ü"}},
		`email "ü@a": a certificate holds it in ASCII only`:                                  {Emails: []string{"ü@a"}},
		`URI "x:\xff": a certificate holds it in ASCII only`:                                 {URIs: []string{"x:\xff"}},
		`IP "10.0.0": that is no IPv4 or IPv6 address`:                                       {IPs: []string{"10.0.0"}},
		`IP "fe80::1%eth0": a zone means something on one machine only`:                      {IPs: []string{"fe80::1%eth0"}},
		`name "x": its kind  is no object identifier that DER can hold`:                      other("x"),
		`name "x": its kind 1 is no object identifier that DER can hold`:                     other("x", 1),
		`name "x": its kind 3.1 is no object identifier that DER can hold`:                   other("x", 3, 1),
		`name "x": its kind 1.40 is no object identifier that DER can hold`:                  other("x", 1, 40),
		`name "x": its kind 1.2.-3 is no object identifier that DER can hold`:                other("x", 1, 2, -3),
		`name "x": its kind 2.9223372036854775807 is no object identifier that DER can hold`: other("x", 2, 1<<63-1),
		`name "": it is empty`:         other("", 1, 2),
		`name "\xff": it is not UTF-8`: other("\xff", 1, 2),
	} {
		der, err := pki.MarshalSAN(names)
		if _, ok := errors.AsType[*pki.SANError](err); !ok || der != nil || err.Error() != want {
			t.Errorf("%x\ngot  %v\nwant %s", der, err, want)
		}
	}
}

// What MarshalSAN writes is what crypto/x509 reads.
func FuzzMarshalSAN(f *testing.F) {
	for _, s := range []string{"", "a.example\x00b", "ü", "10.0.0.1\x00::ffff:10.0.0.1\x00::1%z", "spiffe://a/b", "a b", "https://[::1]:80/", "%", "a..b"} {
		f.Add(s, s, s, s, "1.2.840", s)
	}
	f.Add("", "", "", "", "2.999", "x")
	ca := pkitest.NewRoot(f, pki.CARequest{Key: profiles.Ed25519})
	key := pkitest.Key(f, profiles.Ed25519, pkitest.LeafKey).Public()
	f.Fuzz(func(t *testing.T, dns, emails, ips, uris, id, value string) {
		list := func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(s, "\x00")
		}
		names := pki.ExactNames{DNS: list(dns), Emails: list(emails), IPs: list(ips), URIs: list(uris)}
		if value != "" {
			var oid asn1.ObjectIdentifier
			for _, c := range []byte(id) {
				oid = append(oid, int(c)-'0')
			}
			names.Others = []pki.OtherName{{OID: oid, Value: value}}
		}
		der, err := pki.MarshalSAN(names)
		if err != nil {
			if _, ok := errors.AsType[*pki.SANError](err); !ok || der != nil {
				t.Fatalf("%x beside %v", der, err)
			}
			return
		}
		d, err := ca.PrepareExact(pki.ExactRequest{SAN: der, Key: profiles.Ed25519, Duration: day})
		if err != nil {
			if len(names.URIs) == 0 {
				t.Fatal(err)
			}
			return // of URIs crypto/x509 reads not all
		}
		cert, err := ca.Sign(d, key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names.DNS, cert.DNSNames); diff != "" {
			t.Errorf("DNS names (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(names.Emails, cert.EmailAddresses); diff != "" {
			t.Errorf("email addresses (-want +got):\n%s", diff)
		}
		if len(cert.IPAddresses) != len(names.IPs) || len(cert.URIs) != len(names.URIs) || len(pki.OtherNames(cert.Extensions)) != len(names.Others) {
			t.Errorf("%v came back as %v, %v, %q", names, cert.IPAddresses, cert.URIs, pki.OtherNames(cert.Extensions))
		}
		if e, ok := extension(cert, "2.5.29.17"); ok != (der != nil) || ok && (!e.Critical || string(e.Value) != string(der)) {
			t.Errorf("the extension is %x, critical %v; want %x", e.Value, e.Critical, der)
		}
		if cert.KeyUsage != 0 || cert.SubjectKeyId != nil || cert.PublicKeyAlgorithm != x509.Ed25519 {
			t.Errorf("key usage %d, SKI %x", cert.KeyUsage, cert.SubjectKeyId)
		}
	})
}
