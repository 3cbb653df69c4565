package profiles_test

import (
	"fmt"
	"log"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// A profile of one's own, as it stands in pki/profiles/internal-api.yaml.
func ExampleParse() {
	p, err := profiles.Parse("internal-api", []byte(`
description: an API behind our gateway
usages: [digital signature, server auth]
keys: [ec-p256, ed25519]
validity: 30d
maxValidity: 90d
subject:
  organizations: [Acme]
sans:
  allowed: [dns]
  required: [dns]
csr: [dns]
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name(), "-", p.Description())
	fmt.Println(profiles.FormatUsages(p.KeyUsageFor(p.Key()), p.ExtKeyUsage()))
	fmt.Println(profiles.FormatValidity(p.Validity()), "of at most", profiles.FormatValidity(p.MaxValidity()))

	// A slip of the pen is named with its line.
	_, err = profiles.Parse("internal-api", []byte("usages: [server auth]\nvaliditi: 30d\n"))
	fmt.Println(err)
	// Output:
	// internal-api - an API behind our gateway
	// [digital signature server auth]
	// 30d of at most 90d
	// profile "internal-api": line 2: field validiti is unknown
}
