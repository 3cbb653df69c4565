// Package pki is a private certificate authority in memory: keys, names,
// requests, authorities, and the bundles they issue. It needs no disk and keeps
// no state of its own, so that a test suite can make a CA, issue from it and
// have a [crypto/tls.Config] in four lines.
//
// Issuing takes two steps. [Authority.Prepare] measures a [Request] against a
// profile and against the authority, and makes a [Draft]; [Authority.Sign]
// takes nothing but a draft. What can be refused is refused in the first step,
// before any key is used. [Authority.Issue] is both steps with a new key
// between them. [Authority.PrepareExact] takes in place of a profile's word what
// cert-manager's resources say, field by field.
//
// The package never prints, prompts, reads files or opens connections. It
// records nothing: a caller that must be able to list and revoke what it signed
// keeps the record itself, before it lets a certificate go.
package pki
