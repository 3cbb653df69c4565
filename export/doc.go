// Package export turns a bundle into the files that its consumers read: one
// file of this package for each format, all behind [Format], found by name in
// [Formats]. A format is a struct whose exported fields are its options; its
// zero value has the strict defaults.
//
// A [Consumer] is a program that bundles go to. The table of them, consumers.go,
// says which formats each takes for certificates of which [Role], in which
// [Layout], what it refuses, and the lines of its configuration.
//
// [CertManagerSecret] is no format: it is written for a manifest, of which it takes more
// than options.
//
// The package works in memory: it writes no file, asks for no password, prints
// nothing and encrypts nothing by itself. Encryption is go-pkcs12's and
// keystore-go's; what is added to go-pkcs12's work here (friendly names, and the
// MAC that then has to be made anew) is in p12names.go and p12mac.go.
//
// A key leaves only in files that are marked [File.Private].
package export
