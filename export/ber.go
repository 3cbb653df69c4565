package export

import (
	"encoding/asn1"
	"encoding/binary"
	"errors"
)

// maxBERDepth is how deep elements may lie in one another; a PKCS#12 file needs
// about ten.
const maxBERDepth = 32

var errBER = errors.New("not ASN.1, or cut off")

// toDER rewrites BER into what encoding/asn1 reads of it: it gives elements of
// indefinite length their length, and joins octet strings that come in pieces
// (X.690 sections 8.1.3.6 and 8.7.3). Firefox writes its PKCS#12 files so. DER
// comes out as it went in.
func toDER(ber []byte) ([]byte, error) {
	der, rest, err := berElement(ber, maxBERDepth)
	if err == nil && len(rest) > 0 {
		err = errors.New("there is something after its end")
	}
	return der, err
}

// berElement rewrites the first element of b, and returns what comes after it.
func berElement(b []byte, depth int) (der, rest []byte, err error) {
	tag, content, rest, indefinite, err := berHeader(b)
	if err != nil || depth == 0 {
		return nil, nil, errBER
	}
	constructed := tag[0]&0x20 != 0
	if !constructed {
		if indefinite {
			return nil, nil, errBER
		}
		return b[:len(b)-len(rest)], rest, nil
	}
	pieces := tag[0] == 0x20|asn1.TagOctetString
	var body []byte
	for {
		if indefinite {
			if len(content) < 2 {
				return nil, nil, errBER
			}
			if content[0] == 0 && content[1] == 0 {
				rest = content[2:]
				break
			}
		} else if len(content) == 0 {
			break
		}
		var child []byte
		if child, content, err = berElement(content, depth-1); err != nil {
			return nil, nil, err
		}
		if pieces {
			if child, err = octets(child); err != nil {
				return nil, nil, err
			}
		}
		body = append(body, child...)
	}
	if pieces {
		tag = []byte{asn1.TagOctetString}
	}
	return append(derHeader(tag, len(body)), body...), rest, nil
}

// octets returns the content of a primitive octet string.
func octets(der []byte) ([]byte, error) {
	tag, content, _, _, err := berHeader(der)
	if err != nil || tag[0] != asn1.TagOctetString {
		return nil, errBER
	}
	return content, nil
}

// berHeader splits the first element of b. The content of one of indefinite
// length goes on to the end of b.
func berHeader(b []byte) (tag, content, rest []byte, indefinite bool, err error) {
	n := 1
	if len(b) > 0 && b[0]&0x1f == 0x1f { // a tag number in more bytes
		for n < len(b) && b[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if n >= len(b) {
		return nil, nil, nil, false, errBER
	}
	tag, b = b[:n], b[n:]
	length := uint64(b[0])
	b = b[1:]
	switch {
	case length == 0x80:
		return tag, b, nil, true, nil
	case length > 0x80:
		n := int(length & 0x7f)
		if n > 8 || n > len(b) {
			return nil, nil, nil, false, errBER
		}
		var buf [8]byte
		copy(buf[8-n:], b[:n])
		length, b = binary.BigEndian.Uint64(buf[:]), b[n:]
	}
	if length > uint64(len(b)) {
		return nil, nil, nil, false, errBER
	}
	return tag, b[:length], b[length:], false, nil
}

func derHeader(tag []byte, length int) []byte {
	out := append([]byte(nil), tag...)
	if length < 0x80 {
		return append(out, byte(length))
	}
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], uint64(length))
	n := 0
	for buf[n] == 0 {
		n++
	}
	return append(append(out, 0x80|byte(8-n)), buf[n:]...)
}
