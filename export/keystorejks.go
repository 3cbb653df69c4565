package export

import (
	"cmp"
	"crypto/x509"

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
	store := jks.New(jks.WithOrderedAliases())
	err := addJKSKey(store, cmp.Or(k.Alias, "certificate"), b, b.Chain, k.Password)
	if err != nil {
		return err
	}
	if ca == nil {
		data["keystore.jks"], err = storeJKS(store, k.Password)
		return err
	}
	// After the key: cert-manager lets the CA have the alias if both want it.
	created := b.Leaf().NotBefore
	if err := trustJKS(store, caAlias, ca, created); err != nil {
		return err
	}
	if data["keystore.jks"], err = storeJKS(store, k.Password); err != nil {
		return err
	}
	store = jks.New()
	if err := trustJKS(store, caAlias, ca, created); err != nil {
		return err
	}
	data["truststore.jks"], err = storeJKS(store, k.Password)
	return err
}
