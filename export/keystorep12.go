package export

import (
	"crypto/x509"

	"github.com/mtlsctl/mtlsctl/pki"
)

// addP12 adds keystore.p12 and, if there is a CA, truststore.p12.
//
// The first holds the key, the leaf with the same localKeyID, the rest of the
// chain, and the CA, which of a self-signed certificate is the leaf once more.
// Nothing in it has a name. In the second the CA is called after its subject,
// and has the attribute by which Java knows an entry that it may trust.
func (k *Keystore) addP12(data map[string][]byte, b *pki.Bundle, ca *x509.Certificate) error {
	if len(k.Password) == 0 {
		return errNoKeystorePassword
	}
	encoder, err := k.encoder()
	if err != nil {
		return err
	}
	others := b.Chain[1:]
	if ca != nil {
		others = append(others[:len(others):len(others)], ca)
	}
	password := string(k.Password)
	if data["keystore.p12"], err = encoder.Encode(b.Key, b.Leaf(), others, password); err != nil || ca == nil {
		return err
	}
	data["truststore.p12"], err = encoder.EncodeTrustStore([]*x509.Certificate{ca}, password)
	return err
}
