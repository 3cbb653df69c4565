package export

import (
	"errors"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// A Keystore is one of the kinds of keystores that a [CertManagerSecret] can
// have besides its PEM files, each with a truststore beside it if there is a
// ca.crt. The password encrypts both.
type Keystore struct {
	// Profile is the encryption of a PKCS#12 keystore: LegacyRC2, LegacyDES,
	// Modern2023 or Modern2026; empty: LegacyRC2, which is as good as none. JKS
	// has one alone.
	Profile string
	// Alias is what the key of a JKS keystore is called; empty: "certificate". It
	// is written in lower case. The key called "ca" is lost: cert-manager writes
	// ca.crt over it. PKCS#12 has no alias.
	Alias string
	// Password is taken byte for byte, a newline at its end too. There must be
	// one; keytool wants six characters.
	Password []byte
}

var errNoKeystorePassword = errors.New("its password is empty")

// encoder returns the writer of the profile. Another profile than the four is
// an [*OptionError]; cert-manager would write LegacyRC2 for it.
func (k *Keystore) encoder() (*pkcs12.Encoder, error) {
	switch k.Profile {
	case "", "LegacyRC2":
		return pkcs12.LegacyRC2, nil
	case "LegacyDES":
		return pkcs12.LegacyDES, nil
	case "Modern2023":
		return pkcs12.Modern2023, nil
	case "Modern2026":
		return pkcs12.Modern2026, nil
	}
	known := []string{"LegacyRC2", "LegacyDES", "Modern2023", "Modern2026"}
	return nil, &OptionError{"profile", k.Profile, "unknown: there are " + strings.Join(known, ", "), ""}
}
