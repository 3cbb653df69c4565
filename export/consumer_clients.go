package export

import (
	"strings"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// noImportOf returns the rule of a system or browser that imports PKCS#12 files:
// what key it does not take, by the table of those who read such files.
func noImportOf(target string) rule {
	return rule{"p12 mobileconfig", "client peer", func(f *Fit) (problem, remedy string) {
		t, err := ParseP12Target(target)
		if err != nil || f.KeyType() != profiles.Ed25519 || cannot(t.readers, needEd25519) == "" {
			return "", ""
		}
		return "imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports"
	}}
}

// androidConfig: Android takes the certificate of a CA by another way than a key,
// and browsers alone trust it then (developer.android.com, network security
// configuration: apps trust what users add only if they say so).
func androidConfig(p *Placement) string {
	if p.Role() == Authority {
		return "# Copy " + p.Path(".crt") + " to the device, then Settings > Security >\n" +
			"# Encryption & credentials > Install a certificate > CA certificate\n"
	}
	var text strings.Builder
	for _, s := range importSteps("android", "") {
		text.WriteString("# " + strings.ToUpper(s.Text[:1]) + s.Text[1:] + "\n")
	}
	return text.String() + "# The root is installed apart: mtlsctl export AUTHORITY --for android\n"
}
