package export

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What a reader of PKCS#12 files must understand; the columns of p12Readers.
const (
	needRC2     = iota // PBE-SHA1-RC2
	needDES            // PBE-SHA1-3DES, and a MAC with SHA-1
	needAES            // PBES2 of AES-256-CBC and PBKDF2-HMAC-SHA256, and a MAC with SHA-256
	needPBMAC1         // PBES2 likewise, and PBMAC1 (RFC 9579) of the same algorithms
	needEd25519        // a key of that type
	needUnicode        // a password that is not all ASCII
	needOther          // anything else: no reader is known to have it
)

// A P12Reader is a kind of software that imports PKCS#12 files.
type P12Reader struct {
	Name  string // as in `--for`: "macos15"
	Title string // "macOS 15 and later"
	Note  string // what to know when reading with it; may be empty

	family string
	since  string // the version from which on the row holds
	reads  string // y, n, or ? where nobody has said, in the order of the columns
}

// p12Readers is the one table of who reads what, for writing files as well as
// for explaining them. The rows of a family are in the order of their versions;
// a version before the first row's is held to be the first row's.
var p12Readers = []P12Reader{
	// Apple's Security, OSX/sec/Security/p12import.c: AES since the tag of
	// 2024-09; RSA and EC keys only. kube-rs/kube#691, tauri-apps/tauri#15844.
	{"macos14", "macOS 14 and earlier", "", "macos", "14", "yynnn?"},
	{"macos15", "macOS 15 and later", "reads AES by `security import -f pkcs12`, not without -f", "macos", "15", "yyynn?"},
	{"ios17", "iOS and iPadOS 17 and earlier", "", "ios", "17", "yynnn?"},
	{"ios18", "iOS and iPadOS 18 and later", "", "ios", "18", "yyynn?"},
	// Microsoft's CRYPT_PKCS12_PBES2_EXPORT_PARAMS; ansible.windows#582;
	// openssl/openssl#27035.
	{"windows8", "Windows 8.1 and earlier", "", "windows", "8", "yynnn?"},
	{"windows10", "Windows 10 from 1709, Windows 11", "", "windows", "10", "yyy?n?"},
	{"windows2016", "Windows Server 2016 and earlier", "", "windows", "2000", "yynnn?"},
	{"windows2019", "Windows Server 2019 and later", "", "windows", "2019", "yyy?n?"},
	// strongswan/strongswan-docs#5: AES fails up to Android 13.
	{"android", "Android", "", "android", "", "yyn?n?"},
	// NSS release notes 3.30 and 3.101; the rest tried on 3.87.
	{"firefox", "Firefox and Thunderbird", "", "firefox", "", "yyynny"},
	{"nss", "NSS (Chrome on Linux)", "", "nss", "", "yyynny"},
	// kaikramer/keystore-explorer#359; JEP 339; openjdk/jdk#24429; the rest tried
	// on 17.
	{"java8", "Java 11 and earlier", "the latest updates of 8 and 11 read AES", "java", "8", "yynnnn"},
	{"java12", "Java 12 to 14", "", "java", "12", "yyynnn"},
	{"java15", "Java 15 to 25", "", "java", "15", "yyynyn"},
	{"java26", "Java 26 and later", "", "java", "26", "?yyyyn"},
	// go-pkcs12's notes on LegacyRC2, Modern2023 and Modern2026; tried on 3.0.
	{"openssl1", "OpenSSL 1.1.1", "", "openssl", "1", "yyynyy"},
	{"openssl3", "OpenSSL 3.0 to 3.3", "reads RC2 with -legacy", "openssl", "3", "nyynyy"},
	{"openssl3.4", "OpenSSL 3.4 and later", "reads RC2 with -legacy", "openssl", "3.4", "nyyyyy"},
	// cert-manager/cert-manager#8841: the PKCS#12 key derivation is not approved.
	{"openssl-fips", "OpenSSL 3.4 and later with the FIPS provider alone", "", "openssl-fips", "", "nn?y??"},
	// Tried on 3.7.
	{"gnutls", "GnuTLS", "", "gnutls", "", "yyy?yy"},
}

// p12Groups are names for more than one family: what a browser or a tool reads
// is up to the library below it.
var p12Groups = []p12Group{
	{"chrome", []string{"macos", "windows", "android", "nss"}},
	{"edge", []string{"macos", "windows", "android", "nss"}},
	{"safari", []string{"macos", "ios"}},
	{"curl", []string{"openssl"}},
}

type p12Group struct {
	name     string
	families []string
}

// answer is that of one column: y, n or ?.
func (r *P12Reader) answer(need int) byte {
	if need >= len(r.reads) {
		return '?'
	}
	return r.reads[need]
}

// A P12Target is who a PKCS#12 file is for: a reader, all versions of one, or a
// group of readers.
type P12Target struct {
	name    string
	readers []*P12Reader
}

// String returns the name by which the target was found.
func (t P12Target) String() string { return t.name }

// MarshalText returns the same.
func (t P12Target) MarshalText() ([]byte, error) { return []byte(t.name), nil }

// UnmarshalText is [ParseP12Target].
func (t *P12Target) UnmarshalText(name []byte) (err error) {
	*t, err = ParseP12Target(string(name))
	return err
}

// Readers returns the readers that the target stands for.
func (t P12Target) Readers() (all []P12Reader) {
	for _, r := range t.readers {
		all = append(all, *r)
	}
	return all
}

// ParseP12Target returns the target called name: a family ("macos": every
// version of it, old ones too), a family with a version ("macos15", "java21",
// "openssl3.4", "windows2022"), or a group ("chrome"). Case does not matter.
// For an unknown name the error is an [*OptionError] that lists what there is.
func ParseP12Target(name string) (P12Target, error) {
	lower := strings.ToLower(name)
	t := P12Target{name: lower}
	if families := groupFamilies(lower); families != nil {
		for _, family := range families {
			t.readers = append(t.readers, familyReaders(family)...)
		}
		return t, nil
	}
	family := strings.TrimRight(lower, "0123456789.")
	readers := familyReaders(family)
	version := lower[len(family):]
	if version == "" {
		t.readers = readers
	} else if v, ok := parseVersion(family, version); ok && len(readers) > 0 {
		row := readers[0]
		for _, r := range readers[1:] {
			if since, _ := parseVersion(family, r.since); slices.Compare(since, v) <= 0 {
				row = r
			}
		}
		t.readers = []*P12Reader{row}
	}
	if len(t.readers) == 0 {
		return P12Target{}, &OptionError{"for", name, "not known; there are " + strings.Join(P12TargetNames(), ", "), ""}
	}
	return t, nil
}

// groupFamilies returns the families in a group, or nil if there is no such
// group.
func groupFamilies(name string) []string {
	for _, g := range p12Groups {
		if g.name == name {
			return g.families
		}
	}
	return nil
}

// familyReaders returns the rows of a family.
func familyReaders(family string) (rows []*P12Reader) {
	for i := range p12Readers {
		if p12Readers[i].family == family {
			rows = append(rows, &p12Readers[i])
		}
	}
	return rows
}

// parseVersion reads a dotted version. OpenSSL's major version has one digit,
// so that openssl34 is 3.4.
func parseVersion(family, s string) ([]int, bool) {
	if family == "openssl" && len(s) > 1 && s[1] != '.' {
		s = s[:1] + "." + s[1:]
	}
	var v []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, false
		}
		v = append(v, n)
	}
	return v, true
}

// P12TargetNames returns names that [ParseP12Target] knows: each family, then
// its versions that matter, and the groups. Other versions are known as well.
func P12TargetNames() (names []string) {
	for _, r := range p12Readers {
		if !slices.Contains(names, r.family) {
			names = append(names, r.family)
		}
		if r.Name != r.family {
			names = append(names, r.Name)
		}
	}
	for _, g := range p12Groups {
		names = append(names, g.name)
	}
	return names
}

// P12Encoding names the algorithms of a PKCS#12 file by what they are for, or
// by the year in which they were the good choice. A name never changes its
// meaning.
type P12Encoding string

// The encodings. All derive keys with 2048 iterations, which protects no weak
// password; see [NewPassword].
const (
	// Compat is PBE-SHA1-3DES for certificates and key and a MAC with SHA-1.
	// Every importer that is known reads it, except in FIPS mode. Both algorithms
	// are weak, so that the password alone has to protect the key.
	Compat P12Encoding = "compat"
	// Modern2023 is PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA256, and a MAC with
	// SHA-256: what OpenSSL 3 and Java 17 write.
	Modern2023 P12Encoding = "modern-2023"
	// Modern2026 is Modern2023 with PBMAC1 (RFC 9579) for a MAC. Few read it yet.
	Modern2026 P12Encoding = "modern-2026"
)

// P12Encodings returns all encodings, the default first.
func P12Encodings() []P12Encoding { return []P12Encoding{Compat, Modern2023, Modern2026} }

// ParseP12Encoding returns the encoding called s, or an [*OptionError] that
// lists those there are.
func ParseP12Encoding(s string) (P12Encoding, error) {
	var names []string
	for _, e := range P12Encodings() {
		if s == string(e) {
			return e, nil
		}
		names = append(names, string(e))
	}
	return "", &OptionError{"encoding", s, "not known; there are " + strings.Join(names, ", "), ""}
}

// Summary is what the encoding consists of and who reads it, in one line.
func (e P12Encoding) Summary() string {
	switch e {
	case Compat:
		return "3DES, SHA-1 MAC: read everywhere; safe with a long random password only"
	case Modern2023:
		return "AES-256, SHA-256 MAC: macOS 15, iOS 18, Windows 10, Java 12, OpenSSL, Firefox and later"
	case Modern2026:
		return "AES-256, PBMAC1: OpenSSL 3.4, Java 26 and later"
	}
	return ""
}

func (e P12Encoding) need() int {
	switch e {
	case Compat:
		return needDES
	case Modern2023:
		return needAES
	case Modern2026:
		return needPBMAC1
	}
	return needOther
}

// reads reports whether every reader of the target is known to read e.
func (t P12Target) reads(e P12Encoding) bool {
	return !slices.ContainsFunc(t.readers, func(r *P12Reader) bool { return r.answer(e.need()) != 'y' })
}

// BestP12Encoding returns the strongest encoding that all targets are known to
// read, and [Compat] if there are no targets. If there is none the error is an
// [*OptionError] that says what each target reads.
func BestP12Encoding(targets []P12Target) (P12Encoding, error) {
	if len(targets) == 0 {
		return Compat, nil
	}
	for _, e := range []P12Encoding{Modern2026, Modern2023, Compat} {
		if !slices.ContainsFunc(targets, func(t P12Target) bool { return !t.reads(e) }) {
			return e, nil
		}
	}
	var names, abilities []string
	for _, t := range targets {
		var can []string
		for _, e := range P12Encodings() {
			if t.reads(e) {
				can = append(can, string(e))
			}
		}
		names = append(names, t.name)
		abilities = append(abilities, fmt.Sprintf("%s reads %s", t.name, strings.Join(can, ", ")))
	}
	return "", &OptionError{"for", strings.Join(names, ","), "no encoding is read by all of them: " + strings.Join(abilities, "; "), ""}
}
