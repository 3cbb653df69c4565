package export

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// p12File is a PKCS#12 file whose outer structure has been read.
type p12File struct {
	info      *P12Info
	safe      []byte // what the MAC covers
	mac       macScheme
	macErr    error // why the MAC cannot be checked
	digest    []byte
	encrypted []*encryptedData // for each of info.Contents; nil for a plain one
}

func parseP12(data []byte) (*p12File, error) {
	if len(data) > MaxP12Size {
		return nil, fmt.Errorf("it has %d bytes, and %d are read at most", len(data), MaxP12Size)
	}
	var p struct {
		Version  int
		AuthSafe contentInfo
		MACData  asn1.RawValue `asn1:"optional"`
	}
	if err := unmarshalBER(data, &p); err != nil {
		return nil, err
	}
	var m macData
	if len(p.MACData.FullBytes) > 0 {
		// As an optional macData it would be passed over if it were something else.
		if err := unmarshal(p.MACData.FullBytes, &m); err != nil {
			return nil, fmt.Errorf("its MAC: %w", err)
		}
	}
	switch {
	case p.Version != 3:
		return nil, fmt.Errorf("it has version %d, not 3", p.Version)
	case !p.AuthSafe.ContentType.Equal(oidData):
		return nil, errors.New("it is protected by a public key, not by a password")
	}
	f := &p12File{info: &P12Info{}}
	if err := unmarshal(p.AuthSafe.Content.Bytes, &f.safe); err != nil {
		return nil, err
	}
	var contents []contentInfo
	if err := unmarshalBER(f.safe, &contents); err != nil {
		return nil, err
	}
	if len(contents) > maxP12Contents {
		return nil, fmt.Errorf("it has %d parts, and %d are read at most", len(contents), maxP12Contents)
	}
	f.readMAC(m)
	for _, c := range contents {
		if err := f.readContent(c); err != nil {
			return nil, err
		}
	}
	for _, p := range f.protections() {
		if p.Iterations < 0 {
			return nil, fmt.Errorf("it asks for %d iterations", p.Iterations)
		}
	}
	return f, nil
}

// need notes what a reader of the file must understand.
func (f *p12File) need(n int) {
	if !slices.Contains(f.info.needs, n) {
		f.info.needs = append(f.info.needs, n)
	}
}

// protections returns all protections in the file.
func (f *p12File) protections() []P12Protection {
	all := []P12Protection{f.info.MAC}
	for _, c := range f.info.Contents {
		all = append(all, c.Protection)
		for _, b := range c.Bags {
			all = append(all, b.Protection)
		}
	}
	return all
}

func (f *p12File) readMAC(m macData) {
	if m.Mac.Algorithm.Algorithm == nil {
		// Apple wants a MAC, and NSS and keytool do without it by accident.
		f.need(needOther)
		return
	}
	f.digest = m.Mac.Digest
	if f.mac, f.macErr = m.scheme(); f.macErr != nil {
		f.info.MAC.Algorithm = m.Mac.Algorithm.Algorithm.String()
		f.need(needOther)
		return
	}
	f.info.MAC.Iterations = f.mac.iterations
	kind := f.mac.mac.name
	if f.mac.pbmac1 {
		f.info.MAC.Algorithm = "PBMAC1 HMAC-" + kind + " with PBKDF2-HMAC-" + f.mac.kdf.name
		f.need(needPBMAC1)
		if kind != "SHA256" || f.mac.kdf.name != "SHA256" {
			f.need(needOther)
		}
		return
	}
	f.info.MAC.Algorithm = "HMAC-" + kind
	switch kind {
	case "SHA1": // what reads 3DES reads it
	case "SHA256":
		f.need(needAES)
	default:
		f.need(needAES)
		f.need(needOther)
	}
}

func (f *p12File) readContent(c contentInfo) error {
	var out P12Content
	var e *encryptedData
	switch {
	case c.ContentType.Equal(oidData):
		var inner []byte
		if err := unmarshal(c.Content.Bytes, &inner); err != nil {
			return err
		}
		var bags []safeBag
		if err := unmarshalBER(inner, &bags); err != nil {
			return err
		}
		for _, b := range bags {
			out.Bags = append(out.Bags, f.readBag(b))
		}
	case c.ContentType.Equal(oidEncryptedData):
		e = new(encryptedData)
		if err := unmarshal(c.Content.Bytes, e); err != nil {
			return err
		}
		if err := joinPieces(&e.Content.Data); err != nil {
			return err
		}
		out.Protection = f.readPBE(e.Content.Algorithm)
	default:
		return fmt.Errorf("a part of it is neither data nor encrypted by a password, but %s", c.ContentType)
	}
	f.info.Contents = append(f.info.Contents, out)
	f.encrypted = append(f.encrypted, e)
	return nil
}

// joinPieces makes one of an encrypted content that comes in pieces. toDER
// cannot do that, for its tag is not that of an octet string.
func joinPieces(v *asn1.RawValue) error {
	if !v.IsCompound {
		return nil
	}
	var all []byte
	for rest := v.Bytes; len(rest) > 0; {
		var piece []byte
		var err error
		if rest, err = asn1.Unmarshal(rest, &piece); err != nil {
			return err
		}
		all = append(all, piece...)
	}
	*v = asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: all}
	return nil
}

func (f *p12File) readBag(b safeBag) P12Bag {
	out := P12Bag{Kind: BagOther, Name: friendlyName(b.Attributes)}
	switch {
	case b.ID.Equal(oidCertBag):
		out.Kind = BagCertificate
		var c certBag
		if err := unmarshal(b.Value.Bytes, &c); err == nil && c.ID.Equal(oidX509) {
			if cert, err := x509.ParseCertificate(c.Data); err == nil {
				out.Certificate = cert
			}
			out.Trusted = slices.ContainsFunc(b.Attributes, func(a safeAttribute) bool { return a.ID.Equal(oidJavaTrusted) })
		}
	case b.ID.Equal(oidShroudedBag):
		out.Kind = BagKey
		var k struct {
			Algorithm pkix.AlgorithmIdentifier
			Data      []byte
		}
		if err := unmarshal(b.Value.Bytes, &k); err != nil {
			f.need(needOther)
			break
		}
		out.Protection = f.readPBE(k.Algorithm)
	case b.ID.Equal(oidKeyBag):
		out.Kind = BagKey
		// Apple skips a key that is not encrypted, and keytool does not list it.
		f.need(needOther)
	}
	return out
}

// friendlyName returns the name among a bag's attributes, or "".
func friendlyName(attributes []safeAttribute) string {
	for _, a := range attributes {
		var v asn1.RawValue
		if a.ID.Equal(oidFriendlyName) && unmarshal(a.Value.Bytes, &v) == nil && v.Tag == asn1.TagBMPString {
			return readBMPString(v.Bytes)
		}
	}
	return ""
}

// readPBE reads by what a password encrypts (RFC 7292 appendix C, RFC 8018
// section 6.2). What is not known goes by its OID.
func (f *p12File) readPBE(alg pkix.AlgorithmIdentifier) P12Protection {
	oid := alg.Algorithm.String()
	for _, known := range []struct {
		oid, name string
		need      int
	}{
		{"1.2.840.113549.1.12.1.1", "PBE-SHA1-RC4-128", needOther},
		{"1.2.840.113549.1.12.1.2", "PBE-SHA1-RC4-40", needOther},
		{"1.2.840.113549.1.12.1.3", "PBE-SHA1-3DES", needDES},
		{"1.2.840.113549.1.12.1.4", "PBE-SHA1-2DES", needOther},
		{"1.2.840.113549.1.12.1.5", "PBE-SHA1-RC2-128", needRC2},
		{"1.2.840.113549.1.12.1.6", "PBE-SHA1-RC2-40", needRC2},
	} {
		if oid == known.oid {
			f.need(known.need)
			var p struct {
				Salt       []byte
				Iterations int
			}
			if unmarshal(alg.Parameters.FullBytes, &p) != nil {
				f.need(needOther)
			}
			return P12Protection{known.name, p.Iterations}
		}
	}
	if oid == "1.2.840.113549.1.5.13" {
		if p, ok := readPBES2(alg); ok {
			f.need(needAES)
			if p.Algorithm != "PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256" {
				f.need(needOther)
			}
			return p
		}
		oid = "PBES2"
	}
	f.need(needOther)
	return P12Protection{oid, 0}
}

// readPBES2 reads the parameters of PBES2 (RFC 8018 appendix A.4).
func readPBES2(alg pkix.AlgorithmIdentifier) (P12Protection, bool) {
	var p struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	if unmarshal(alg.Parameters.FullBytes, &p) != nil || !p.KDF.Algorithm.Equal(oidPBKDF2) {
		return P12Protection{}, false
	}
	k, err := readPBKDF2(p.KDF)
	if err != nil {
		return P12Protection{}, false
	}
	cipher := map[string]string{
		"2.16.840.1.101.3.4.1.2":  "AES-128-CBC",
		"2.16.840.1.101.3.4.1.22": "AES-192-CBC",
		"2.16.840.1.101.3.4.1.42": "AES-256-CBC",
		"1.2.840.113549.3.7":      "3DES-CBC",
	}[p.Cipher.Algorithm.String()]
	if cipher == "" {
		cipher = p.Cipher.Algorithm.String()
	}
	prf := k.PRF.Algorithm.String()
	if h, ok := findHash(k.PRF.Algorithm); ok {
		prf = "PBKDF2-HMAC-" + h.name
	}
	return P12Protection{"PBES2 " + cipher + " with " + prf, k.Iterations}, true
}

// unmarshalBER reads DER or BER with nothing after it.
func unmarshalBER(ber []byte, v any) error {
	der, err := toDER(ber)
	if err != nil {
		return err
	}
	return unmarshal(der, v)
}
