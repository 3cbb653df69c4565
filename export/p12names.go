package export

import (
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// The parts of a PKCS#12 file, RFC 7292 section 4.

type pfx struct {
	Version  int
	AuthSafe contentInfo
	MACData  macData `asn1:"optional"`
}

type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type encryptedData struct {
	Version int
	Content struct {
		ContentType asn1.ObjectIdentifier
		Algorithm   pkix.AlgorithmIdentifier
		Data        asn1.RawValue `asn1:"tag:0,optional"`
	}
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue   `asn1:"tag:0,explicit"`
	Attributes []safeAttribute `asn1:"set,optional"`
}

type safeAttribute struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"set"`
}

type certBag struct {
	ID   asn1.ObjectIdentifier
	Data []byte `asn1:"tag:0,explicit"`
}

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oidJavaTrusted   = asn1.ObjectIdentifier{2, 16, 840, 1, 113894, 746875, 1, 1} // OpenJDK's PKCS12KeyStore
)

// addLeaf gives a file of go-pkcs12 the friendly names that it does not write.
//
// The file has two contents: certificates, encrypted, and beside them a plain
// one with the key, which is encrypted by itself and whose attributes are not.
// The key gets its name there, and the leaf, with the same name and the same
// localKeyID, is put beside it. So the leaf can be read without the password,
// as in the files of Windows without "certificate privacy"; nothing in it is
// secret. That content goes first: go-pkcs12's DecodeChain and others like it
// take the first certificate for the key's.
//
// The encrypted content stays as it was made, and is dropped if there are no
// issuers (then it has the leaf). go-pkcs12 gives its first certificate a
// localKeyID, of which there is no key; no reader is disturbed by that.
func addLeaf(data []byte, leaf *x509.Certificate, issuers bool, name, password string) ([]byte, error) {
	var p pfx
	if err := unmarshal(data, &p); err != nil {
		return nil, err
	}
	var contents []contentInfo
	if err := unmarshalWrapped(p.AuthSafe.Content.Bytes, &contents); err != nil {
		return nil, err
	}
	if len(contents) != 2 || !contents[0].ContentType.Equal(oidEncryptedData) || !contents[1].ContentType.Equal(oidData) {
		return nil, errors.New("go-pkcs12 has changed the order of its contents")
	}
	var bags []safeBag
	if err := unmarshalWrapped(contents[1].Content.Bytes, &bags); err != nil {
		return nil, err
	}
	if len(bags) != 1 || !bags[0].ID.Equal(oidShroudedBag) {
		return nil, errors.New("go-pkcs12 has changed what is beside the key")
	}
	id := sha1.Sum(leaf.Raw)
	attributes := []safeAttribute{
		attribute(oidFriendlyName, asn1.RawValue{Tag: asn1.TagBMPString, Bytes: bmpString(name)}),
		attribute(oidLocalKeyID, asn1.RawValue{Tag: asn1.TagOctetString, Bytes: id[:]}),
	}
	bags[0].Attributes = attributes
	bags = append(bags, safeBag{oidCertBag, explicit(marshal(certBag{oidX509, leaf.Raw})), attributes})
	contents = []contentInfo{dataContent(marshal(bags)), contents[0]}
	if !issuers {
		contents = contents[:1]
	}
	safe := marshal(contents)
	scheme, err := p.MACData.scheme()
	if err != nil {
		return nil, err
	}
	if p.MACData.Mac.Digest, err = scheme.sum(safe, bmpPassword(password)); err != nil {
		return nil, err
	}
	p.AuthSafe = dataContent(safe)
	return marshal(p), nil
}

// dataContent wraps bytes as the content type data.
func dataContent(b []byte) contentInfo { return contentInfo{oidData, explicit(marshal(b))} }

// explicit tags DER with [0].
func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: der}
}

func attribute(id asn1.ObjectIdentifier, value asn1.RawValue) safeAttribute {
	return safeAttribute{id, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: marshal(value)}}
}

// marshal writes one of the types above, which always succeeds.
func marshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic("export: " + err.Error())
	}
	return der
}

// unmarshalWrapped reads the DER that an octet string holds.
func unmarshalWrapped(der []byte, v any) error {
	var inner []byte
	if err := unmarshal(der, &inner); err != nil {
		return err
	}
	return unmarshal(inner, v)
}

// unmarshal reads DER with nothing after it.
func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("asn1: data after its end")
	}
	return err
}
