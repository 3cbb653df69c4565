package export

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"

	utilapi "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/util"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// What cert-manager shows of itself judges as well. What it keeps to itself
// made the Secrets in testdata/certmanager.

func TestCertManagerKnowsItsAnnotations(t *testing.T) {
	t.Parallel()
	s := CertManagerSecret{Certificate: "web", IssuerName: "ca"}
	got := s.annotations(selfSigned("full", pki.PKCS1, true)(t).Leaf())
	want := []string{
		cmapi.AltNamesAnnotationKey, cmapi.IPSANAnnotationKey, cmapi.URISANAnnotationKey, cmapi.EmailsAnnotationKey,
		cmapi.CommonNameAnnotationKey, cmapi.CertificateNameKey,
		cmapi.IssuerNameAnnotationKey, cmapi.IssuerKindAnnotationKey, cmapi.IssuerGroupAnnotationKey,
		cmapi.SubjectOrganizationsAnnotationKey, cmapi.SubjectOrganizationalUnitsAnnotationKey, cmapi.SubjectCountriesAnnotationKey,
		cmapi.SubjectProvincesAnnotationKey, cmapi.SubjectLocalitiesAnnotationKey, cmapi.SubjectPostalCodesAnnotationKey,
		cmapi.SubjectStreetAddressesAnnotationKey, cmapi.SubjectSerialNumberAnnotationKey,
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("(-cert-manager +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}, s.labels()); diff != "" {
		t.Errorf("(-cert-manager +got)\n%s", diff)
	}
	// Each list is one record, which cert-manager reads again.
	if values, err := util.SplitWithEscapeCSV(got[cmapi.SubjectOrganizationsAnnotationKey]); err != nil || !slices.Contains(values, "Acme, Inc.") {
		t.Errorf("organizations %q, %v", values, err)
	}
}

func TestCertManagerKnowsTheIssuer(t *testing.T) {
	t.Parallel()
	refs := []cmmeta.IssuerReference{
		{Name: "ca"}, {Name: "ca", Kind: "Issuer"}, {Name: "ca", Kind: "ClusterIssuer"},
		{Name: "ca", Kind: "Issuer", Group: "cert-manager.io"}, {Name: "ca", Kind: "Private", Group: "x.io"}, {Name: "other"},
	}
	for i, ref := range refs {
		s := CertManagerSecret{Certificate: "web", IssuerName: ref.Name, IssuerKind: ref.Kind, IssuerGroup: ref.Group}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: s.annotations(alice(t).Leaf())}}
		for j, other := range refs {
			same := i == j || max(i, j) <= 3 && i != 2 && j != 2
			if got := utilapi.SecretIssuerAnnotationsMatch(secret, other); got != same {
				t.Errorf("a Secret of %+v matches %+v: %t, want %t", ref, other, got, same)
			}
		}
	}
}

// cert-manager's own chain and encodings of keys come to the same files.
func TestCertManagerMakesTheSamePEM(t *testing.T) {
	t.Parallel()
	issuing := pkitest.Issuing(t)
	for kind, encodings := range map[profiles.KeyType]map[pki.KeyEncoding]cmapi.PrivateKeyEncoding{
		profiles.ECP256:  {pki.SEC1: cmapi.PKCS1, pki.PKCS8: cmapi.PKCS8},
		profiles.ECP521:  {pki.SEC1: cmapi.PKCS1, pki.PKCS8: cmapi.PKCS8},
		profiles.RSA2048: {pki.PKCS1: cmapi.PKCS1, pki.PKCS8: cmapi.PKCS8},
		profiles.Ed25519: {pki.PKCS8: cmapi.PKCS1},
	} {
		for encoding, theirs := range encodings {
			b := client(t, issuing, kind)
			b.Encoding = encoding
			got := exported(t, certManagerCase{func(testing.TB) *pki.Bundle { return b }, CertManagerSecret{Name: "a"}}).Data
			pool := slices.Concat([]*x509.Certificate{b.Roots[0]}, b.Chain)
			chain, err := cmpki.ParseSingleCertificateChain(pool)
			if err != nil {
				t.Fatal(err)
			}
			key, err := cmpki.EncodePrivateKey(b.Key, theirs)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]byte{"tls.crt": chain.ChainPEM, "ca.crt": chain.CAPEM, "tls.key": key}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-cert-manager +got)\n%s", kind, encoding, diff)
			}
		}
	}
}

func FuzzJoinCSV(f *testing.F) {
	for _, s := range []string{"", "|", "a|b", "a,b|c", `a"b`, " a|b ", "a\r\nb", `\.`, "\u00A0a", "\u3000", "\t", "\xFF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, values := range [][]string{nil, {s}, strings.Split(s, "|")} {
			want, err := util.JoinWithEscapeCSV(values)
			if got := joinCSV(values); err != nil || got != want {
				t.Errorf("%q is %q, cert-manager has %q, %v", values, got, want, err)
			}
		}
	})
}
