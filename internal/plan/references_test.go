package plan

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	use := func(key, in, dataKey string) manifest.Reference {
		s := secret(key, nil).Key
		return manifest.Reference{Origin: manifest.Origin{File: "in.yaml", Kind: "Deployment", Key: secret(in, nil).Key}, Path: "spec.x", Line: 7, Secret: s, DataKey: dataKey}
	}
	in := inputOf(certificate("tls/web"), secret("tls/pw", map[string][]byte{"a": nil, "b": nil}),
		use("tls/web-tls", "tls/fine", ""), use("tls/web-tls", "tls/fine", "ca.crt"), use("tls/pw", "tls/fine", "a"), use("tls/known", "tls/fine", ""),
		use("tls/web-tsl", "tls/one", ""), use("tls/web-tsl", "tls/two", ""),
		use("other/web-tls", "other/x", ""), use("tls/unlike-any", "tls/x", ""),
		use("tls/web-tls", "tls/x", "keystore.p12"), use("tls/pw", "tls/x", "c"))
	in.CASecret = func(k manifest.Key) (string, bool) { return "", k.Name == "known" }
	all := certificate("tls/all", func(s *cmapi.CertificateSpec) {
		pw := "x"
		s.AdditionalOutputFormats = []cmapi.CertificateAdditionalOutputFormat{{Type: "DER"}, {Type: "CombinedPEM"}}
		s.Keystores = &cmapi.CertificateKeystores{JKS: &cmapi.JKSKeystore{Create: true, Password: &pw}, PKCS12: &cmapi.PKCS12Keystore{Create: true, Password: &pw}}
	})
	in.Set.Certificates = append(in.Set.Certificates, all)
	for _, key := range []string{"key.der", "tls-combined.pem", "keystore.p12", "truststore.p12", "keystore.jks", "truststore.jks"} {
		in.Set.References = append(in.Set.References, use("tls/all-tls", "tls/fine", key))
	}
	same(t, warnings(mustMake(t, in)), []string{
		"in.yaml:7: Deployment tls/one: spec.x: nobody makes Secret tls/web-tsl; there is Secret tls/web-tls, written by Certificate tls/web (used by Deployment tls/one, Deployment tls/two)",
		"in.yaml:7: Deployment other/x: spec.x: nobody makes Secret other/web-tls; there is Secret tls/web-tls, written by Certificate tls/web (used by Deployment other/x)",
		"in.yaml:7: Deployment tls/x: spec.x: nobody makes Secret tls/unlike-any (used by Deployment tls/x)",
		"in.yaml:7: Deployment tls/x: spec.x: Secret tls/web-tls will have no keystore.p12: it has tls.crt, tls.key, ca.crt (used by Deployment tls/x)",
		"in.yaml:7: Deployment tls/x: spec.x: Secret tls/pw will have no c: it has a, b (used by Deployment tls/x)",
	})
}
