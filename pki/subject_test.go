package pki_test

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

var fullSubject = pki.Subject{
	CommonName:          "api.example.com",
	Organizations:       []string{"Acme", "Acme & Söhne"},
	OrganizationalUnits: []string{"Web"},
	Countries:           []string{"DE"},
	Provinces:           []string{"Bayern"},
	Localities:          []string{"Ort"},
}

func TestSubjectCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 65)
	for _, tt := range []struct {
		subject pki.Subject
		want    string
	}{
		{fullSubject, ""},
		{pki.Subject{}, ""},
		{pki.Subject{CommonName: long[:128]}, ""}, // 64 characters in 128 bytes
		{pki.Subject{CommonName: "日本語 (test) \"x\" = 1, +2; <3>"}, ""},
		{pki.Subject{CommonName: long}, `subject CN "` + long + `": it has 65 characters; 64 is the most`},
		{pki.Subject{CommonName: " "}, `subject CN " ": it begins or ends with a space`},
		{pki.Subject{CommonName: "a "}, `subject CN "a ": it begins or ends with a space`},
		{pki.Subject{CommonName: "a\tb"}, `subject CN "a\tb": it contains '\t'`},
		{pki.Subject{CommonName: "a\x00b"}, `subject CN "a\x00b": it contains '\x00'`},
		{pki.Subject{CommonName: "a\u202eb"}, `subject CN "a\u202eb": it contains '\u202e'`}, // turns the rest around
		{pki.Subject{CommonName: "a\u00a0b"}, `subject CN "a\u00a0b": it contains '\u00a0'`},
		{pki.Subject{CommonName: "a\ufffdb"}, `subject CN "a�b": it contains '�'`}, // what is left of text in another encoding
		{pki.Subject{CommonName: "a\xffb"}, `subject CN "a\xffb": it is not UTF-8`},
		{pki.Subject{Organizations: []string{"Acme", ""}}, `subject O "": it is empty`},
		{pki.Subject{OrganizationalUnits: []string{strings.Repeat("u", 65)}}, `subject OU "` + strings.Repeat("u", 65) + `": it has 65 characters; 64 is the most`},
		{pki.Subject{Provinces: []string{strings.Repeat("p", 128)}}, ""},
		{pki.Subject{Provinces: []string{strings.Repeat("p", 129)}}, `subject ST "` + strings.Repeat("p", 129) + `": it has 129 characters; 128 is the most`},
		{pki.Subject{Localities: []string{strings.Repeat("l", 129)}}, `subject L "` + strings.Repeat("l", 129) + `": it has 129 characters; 128 is the most`},
		{pki.Subject{Countries: []string{"de"}}, `subject C "de": a country is two capital letters, as in DE`},
		{pki.Subject{Countries: []string{"DEU"}}, `subject C "DEU": a country is two capital letters, as in DE`},
		{pki.Subject{Countries: []string{""}}, `subject C "": a country is two capital letters, as in DE`},
		{pki.Subject{Countries: []string{"ÄÖ"}}, `subject C "ÄÖ": a country is two capital letters, as in DE`},
	} {
		err := tt.subject.Check()
		got := ""
		if err != nil {
			got = err.Error()
			if _, ok := errors.AsType[*pki.SubjectError](err); !ok {
				t.Errorf("%T is no *SubjectError", err)
			}
		}
		if got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.subject, got, tt.want)
		}
	}
}

func TestSubjectInCertificate(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	cert := pkitest.Issue(t, ca, profiles.Client(), pki.Request{Subject: fullSubject}).Leaf()
	if diff := cmp.Diff(fullSubject, pki.SubjectOf(cert.Subject)); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	const text = "CN=api.example.com,OU=Web,O=Acme & Söhne,O=Acme,L=Ort,ST=Bayern,C=DE"
	if got := fullSubject.String(); got != text {
		t.Errorf("String() = %s, want %s", got, text)
	}
	if got := cert.Subject.ToRDNSequence().String(); len(got) != len(text) {
		t.Errorf("the certificate says %s", got)
	}

	// Each value is an RDN of its own, in this order, and in the narrowest of the
	// two string types that RFC 5280 section 4.1.2.4 leaves to new certificates.
	var rdns []asn1.RawValue
	if _, err := asn1.Unmarshal(cert.RawSubject, &rdns); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, set := range rdns {
		var atv struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if rest, err := asn1.Unmarshal(set.Bytes, &atv); err != nil || len(rest) > 0 {
			t.Fatalf("an RDN of several values: %v", err)
		}
		kind := map[int]string{asn1.TagPrintableString: "printable", asn1.TagUTF8String: "utf8"}[atv.Value.Tag]
		got = append(got, atv.Type.String()+" "+kind+" "+string(atv.Value.Bytes))
	}
	want := []string{
		"2.5.4.6 printable DE", "2.5.4.8 printable Bayern", "2.5.4.7 printable Ort",
		"2.5.4.10 printable Acme", "2.5.4.10 utf8 Acme & Söhne", "2.5.4.11 printable Web", "2.5.4.3 printable api.example.com",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("RDNs (-want +got):\n%s", diff)
	}
}

// RFC 5280 section 4.2.1.6: critical when the subject is empty, and only then.
func TestSANCriticalWithoutSubject(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	for cn, want := range map[string]bool{"": true, "web": false} {
		cert := pkitest.Issue(t, ca, profiles.Server(), pki.Request{Subject: pki.Subject{CommonName: cn}, SANs: pkitest.SANs(t, "a.example")}).Leaf()
		got, ok := extension(cert, "2.5.29.17")
		if !ok || got.Critical != want {
			t.Errorf("CN %q: SAN critical %v, want %v", cn, got.Critical, want)
		}
		if empty := len(cert.RawSubject) == 2; empty != (cn == "") {
			t.Errorf("CN %q: subject %x", cn, cert.RawSubject)
		}
	}
}

func extension(c *x509.Certificate, oid string) (e struct {
	Critical bool
	Value    []byte
}, ok bool) {
	for _, x := range c.Extensions {
		if x.Id.String() == oid {
			e.Critical, e.Value = x.Critical, x.Value
			return e, true
		}
	}
	return e, false
}
