package pki_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/pki"
)

func TestExactSubject(t *testing.T) {
	t.Parallel()
	got, err := pki.ExactSubject(pkix.Name{
		CommonName: "cn", SerialNumber: "7", Country: []string{"Finland"}, Province: []string{"st"}, Locality: []string{"l"}, StreetAddress: []string{"street"},
		PostalCode: []string{"1"}, Organization: []string{"b 1", "a"}, OrganizationalUnit: []string{"ou"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `SERIALNUMBER=7,CN=cn,OU=ou,O=a+O=b 1,POSTALCODE=1,STREET=street,L=l,ST=st,C=Finland`
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(got, &seq); err != nil || seq.String() != want {
		t.Errorf("got  %s, %v\nwant %s", seq, err, want)
	}
	if got, err := pki.ExactSubject(pkix.Name{}); err != nil || string(got) != "\x30\x00" {
		t.Errorf("nothing: %x, %v", got, err)
	}
	_, err = pki.ExactSubject(pkix.Name{Organization: []string{"a", "\xff"}})
	if _, ok := errors.AsType[*pki.SubjectError](err); !ok || err.Error() != `subject O "\xff": it is not UTF-8` {
		t.Errorf("not UTF-8: %v", err)
	}
}

func TestLiteralSubjectRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"x":                  "no distinguished name as in RFC 4514: ",
		"CN=a,":              "no distinguished name as in RFC 4514: ",
		`CN=\zz`:             "no distinguished name as in RFC 4514: ",
		"CN=#zz":             "no distinguished name as in RFC 4514: ",
		"cn=a":               `subject cn "a": the key is written CN`,
		"O=b,serialNumber=a": `subject serialNumber "a": the key is written SERIALNUMBER`,
		"E=a":                `subject E "a": the key is none of C, ST, L, STREET, O, OU, CN, SERIALNUMBER, DC and UID, and no OID`,
		"OID.2.5.4.3=a":      `subject OID.2.5.4.3 "a": the key is none of C, ST, L, STREET, O, OU, CN, SERIALNUMBER, DC and UID, and no OID`,
		"3.1=a":              `subject 3.1 "a": the key is no OID that DER can hold`,
		"2.5.4294967296=a":   `subject 2.5.4294967296 "a": the key is no OID that DER can hold`,
		"1.2.-3=a":           `subject 1.2.-3 "a": the key is no OID that DER can hold`,
		`CN=\ff`:             `subject CN "\xff": it is not UTF-8`,
	} {
		got, err := pki.LiteralSubject(in)
		if got != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %x\ngot  %v\nwant %s", in, got, err, want)
		}
		if _, ok := errors.AsType[*pki.SubjectError](err); ok != strings.HasPrefix(want, "subject") {
			t.Errorf("%s: a *SubjectError: %v", in, ok)
		}
	}
}

func TestCommonNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{"": nil, "O=x": nil, "CN=a": {"a"}, "CN=a,O=x,CN=b+OU=c,CN=": {"", "b", "a"}} {
		der, err := pki.LiteralSubject(in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, pki.CommonNames(der)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
	if got := pki.CommonNames([]byte("x")); got != nil {
		t.Errorf("of no name: %q", got)
	}
}

// What cert-manager reads, we read the same; what it cannot, neither can we.
func FuzzLiteralSubject(f *testing.F) {
	seed(f, []string{
		"", " ", "CN=foo,O=bar", `CN=a\,b\ +UID=u;DC=example, DC = com `, "1.2.840.113549.1.9.1=a@b.example", "CN=#0c0161", "CN=#0484ffffffff", "CN=#300030",
		"cn=a", "E=a", "OID.1=a", "3.1=a", "1.2.-3=a", "2.5.4.4294967296=a", `CN=\ff`, `CN=\`, "CN", "CN=a,", "CN=a+", "=", "CN==", "+1.2=a", "CN=*&@",
	})
	f.Fuzz(func(t *testing.T, in string) {
		got, err := pki.LiteralSubject(in)
		if err != nil && got != nil {
			t.Fatalf("%x beside %v", got, err)
		}
		var want []byte
		theirs, theirErr := cmpki.UnmarshalSubjectStringToRDNSequence(in)
		if theirErr == nil {
			want, theirErr = cmpki.MarshalRDNSequenceToRawDERBytes(theirs)
		}
		var back pkix.RDNSequence
		if theirErr == nil {
			// A CSR with it has to be read again.
			back, theirErr = cmpki.UnmarshalRawDerBytesToRDNSequence(want)
		}
		if err == nil && (theirErr != nil || string(got) != string(want)) {
			t.Fatalf("%q is %x, and cert-manager says %x, %v", in, got, want, theirErr)
		}
		// Numbers below zero vanish there without a word.
		if err != nil && theirErr == nil && !strings.Contains(in, "-") {
			t.Fatalf("%q: %v, and cert-manager says %s", in, err, back)
		}
	})
}
