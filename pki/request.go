package pki

import (
	"crypto"
	"time"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// Request is what is asked for a certificate of an end entity. What it leaves
// out comes from the profile.
type Request struct {
	// Subject may be empty if there are SANs.
	Subject Subject
	// SANs are certified once each, in the order given.
	SANs []SAN
	// Key is the type of the key to be certified; zero means that of PublicKey
	// or else the profile's.
	Key profiles.KeyType
	// PublicKey is the key to be certified, as it comes from a signing request.
	// Nil means that a key is made later, and given to [Authority.Sign].
	PublicKey crypto.PublicKey
	// Lifetime is how long the certificate lasts.
	Lifetime
}

// Lifetime is how long a certificate is asked to last, to the second. The zero
// value asks for the default, which is cut to the issuer's end. What is asked
// for explicitly is refused if it passes that end.
type Lifetime struct {
	NotBefore time.Time     // zero: one minute before now
	NotAfter  time.Time     // zero: NotBefore and Validity
	Validity  time.Duration // zero: the default; not to be given with NotAfter
}

// CARequest is what is asked for the certificate of an authority.
type CARequest struct {
	// Subject must not be empty (RFC 5280 section 4.1.2.6).
	Subject Subject
	// Key is the type of the key; zero means ec-p256.
	Key profiles.KeyType
	// PathLen is how many authorities may follow below this one; zero means that
	// it signs end entities only, [NoPathLen] that there is no limit.
	PathLen int
	// Permit and Exclude are the name constraints, always critical (RFC 5280
	// section 4.2.1.10).
	Permit, Exclude []Constraint
	// Lifetime is how long the certificate lasts; the default is
	// [RootValidity] or [IntermediateValidity].
	Lifetime
}

// NoPathLen as a [CARequest].PathLen sets no limit.
const NoPathLen = -1

// How long authorities last when nothing is asked for.
const (
	RootValidity         = 10 * 365 * 24 * time.Hour
	IntermediateValidity = 5 * 365 * 24 * time.Hour
)

// backdate is how far notBefore lies in the past by default, so that a
// certificate holds at once on a machine whose clock is a little slow.
const backdate = time.Minute
