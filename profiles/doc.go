// Package profiles holds the policies that requests for certificates are
// filled from and measured against: which usages a certificate gets, which key
// types and names it may have, how long it lasts, and what may be taken over
// from a certificate signing request.
//
// A [Config] is what a profile file says; [New] checks it once and makes a
// [Profile], which cannot be changed and is safe to share. The built-in
// profiles are [Server], [Client], [Peer] and [SPIFFE].
//
// The package reads no file and touches no key.
package profiles
