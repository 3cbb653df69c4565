// Package easyrsa reads what easy-rsa keeps of the certificates that its CA
// signed: the index of `openssl ca`, and the certificates beside it.
package easyrsa

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/pki"
)

// An Entry is one line of an index.
type Entry struct {
	Line      int // from 1
	NotAfter  time.Time
	RevokedAt time.Time  // zero unless it is revoked
	Reason    pki.Reason // why
	Serial    *big.Int
	Subject   string // as in /C=DE/CN=web
}

// A LineError says which line of an index cannot be read, and why.
type LineError struct {
	Line    int
	Problem string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// The states of a certificate.
const (
	valid   = "V"
	revoked = "R"
	expired = "E"
)

// ParseIndex reads an index: lines of six fields with tabs between them, which are
// state, end, revocation, serial in hexadecimal, file and subject (openssl-ca(1),
// WARNINGS and FILES). A line that is not of that kind is a [*LineError]: what is
// passed over could be a revocation.
func ParseIndex(data []byte) (entries []Entry, err error) {
	at := 0
	for line := range bytes.Lines(data) {
		at++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		e, err := parseLine(text)
		if err != nil {
			return nil, &LineError{at, err.Error()}
		}
		e.Line = at
		entries = append(entries, e)
	}
	return entries, nil
}

func parseLine(line string) (e Entry, err error) {
	fields := split(line)
	if len(fields) != 6 {
		return e, fmt.Errorf("it has %d fields with tabs between them, and not 6", len(fields))
	}
	state, end, revocation, serial, subject := fields[0], fields[1], fields[2], fields[3], fields[5]
	if e.NotAfter, err = parseTime(end); err != nil {
		return e, err
	}
	if e.Serial, err = parseSerial(serial); err != nil {
		return e, err
	}
	e.Subject = subject
	switch {
	case state != valid && state != revoked && state != expired:
		return e, fmt.Errorf("unknown state %q: there are V, R and E", state)
	case state != revoked && revocation != "":
		return e, fmt.Errorf("its state is %s, and it has a revocation", state)
	case state != revoked:
		return e, nil
	}
	at, reason, _ := strings.Cut(revocation, ",")
	if e.RevokedAt, err = parseTime(at); err != nil {
		return e, fmt.Errorf("its revocation: %w", err)
	}
	e.Reason, err = parseReason(reason)
	return e, err
}

// split splits at tabs; one with a backslash before it is part of a field.
func split(line string) (fields []string) {
	var field strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '\t':
			field.WriteByte('\t')
			i++
		case line[i] == '\t':
			fields = append(fields, field.String())
			field.Reset()
		default:
			field.WriteByte(line[i])
		}
	}
	return append(fields, field.String())
}

// parseTime reads UTCTime and GeneralizedTime as RFC 5280 section 4.1.2.5 has
// them: two digits of a year are those of 1950 to 2049.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse("060102150405Z", s)
	switch {
	case err != nil:
		t, err = time.Parse("20060102150405Z", s)
	case t.Year() >= 2050:
		t = t.AddDate(-100, 0, 0)
	}
	if err != nil || t.Year() < 1950 {
		return t, fmt.Errorf("%q is no time as in 261231235959Z", s)
	}
	return t, nil
}

// maxSerial is how many hexadecimal digits a serial has at most; RFC 5280 section
// 4.1.2.2 allows 40.
const maxSerial = 64

func parseSerial(s string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(s, 16)
	if !ok || len(s) > maxSerial || strings.ContainsAny(s, "+-_") {
		return nil, fmt.Errorf("%q is no serial number in hexadecimal", s)
	}
	return n, nil
}

// parseReason reads what stands behind the time of a revocation: a reason, and for
// some more about it (openssl-ca(1), -crl_reason, -crl_hold, -crl_compromise and
// -crl_CA_compromise).
func parseReason(s string) (pki.Reason, error) {
	word, _, _ := strings.Cut(s, ",")
	switch word {
	case "":
		return pki.Unspecified, nil
	case "holdInstruction":
		return pki.CertificateHold, nil
	case "keyTime":
		return pki.KeyCompromise, nil
	case "CAkeyTime":
		return pki.CACompromise, nil
	case "removeFromCRL": // which means something in delta CRLs alone
		return pki.Unspecified, nil
	}
	r, err := pki.ParseReason(word)
	if err != nil {
		return r, errors.New("its revocation: " + err.Error())
	}
	return r, nil
}
