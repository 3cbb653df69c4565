package export

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"time"

	jks "github.com/pavlo-v-chernykh/keystore-go/v4"

	"github.com/mtlsctl/mtlsctl/pki"
)

// caAlias is what ca.crt is called in both stores.
const caAlias = "ca"

// addJKS adds keystore.jks and, if there is a CA, truststore.jks.
//
// The first holds the key with the whole chain under the alias, and the CA as a
// trusted entry, which is all that the second holds. Entries are dated by the
// leaf's beginning.
func (k *Keystore) addJKS(data map[string][]byte, b *pki.Bundle, ca *x509.Certificate) error {
	if len(k.Password) == 0 {
		return errNoKeystorePassword
	}
	key, err := x509.MarshalPKCS8PrivateKey(b.Key)
	if err != nil {
		return err
	}
	entry := jks.PrivateKeyEntry{CreationTime: b.Leaf().NotBefore, PrivateKey: key}
	for _, c := range b.Chain {
		entry.CertificateChain = append(entry.CertificateChain, jksCertificate(c))
	}
	store := jks.New(jks.WithOrderedAliases())
	if err := store.SetPrivateKeyEntry(cmp.Or(k.Alias, "certificate"), entry, k.Password); err != nil {
		return err
	}
	if ca == nil {
		data["keystore.jks"], err = storeJKS(store, k.Password)
		return err
	}
	// After the key: cert-manager lets the CA have the alias if both want it.
	if err := trustJKS(store, ca, entry.CreationTime); err != nil {
		return err
	}
	if data["keystore.jks"], err = storeJKS(store, k.Password); err != nil {
		return err
	}
	store = jks.New()
	if err := trustJKS(store, ca, entry.CreationTime); err != nil {
		return err
	}
	data["truststore.jks"], err = storeJKS(store, k.Password)
	return err
}

func jksCertificate(c *x509.Certificate) jks.Certificate {
	return jks.Certificate{Type: "X509", Content: c.Raw}
}

func trustJKS(store jks.KeyStore, ca *x509.Certificate, created time.Time) error {
	return store.SetTrustedCertificateEntry(caAlias, jks.TrustedCertificateEntry{CreationTime: created, Certificate: jksCertificate(ca)})
}

func storeJKS(store jks.KeyStore, password []byte) ([]byte, error) {
	var out bytes.Buffer
	err := store.Store(&out, password)
	return out.Bytes(), err
}
