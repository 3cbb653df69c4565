package export

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MinCompatPassword is how many characters a password that a user brings must
// have under [Compat], whose key derivation of 2048 rounds of SHA-1 slows
// nobody down: at ten million guesses a second, which one graphics card makes,
// eight random letters and digits last three days, and twelve 10,000 years.
// For words that mean something even twelve are few.
const MinCompatPassword = 12

// NewPassword makes a password of 130 random bits, 26 letters and digits in
// five groups, as in "mfrgg-zdfmz-twq2l-kn5fw-6ytboi": at this length no key
// derivation matters. It has none of 0, 1, 8 and 9, which look like letters.
func NewPassword() string {
	text := strings.ToLower(rand.Text())
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:20], text[20:]}, "-")
}

// checkPassword refuses a password that readers would not take, or that would
// not protect the file. It never shows it.
func checkPassword(password string, e P12Encoding, readers []*P12Reader) error {
	if err := checkCharacters(password, readers); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(password); e == Compat && n < MinCompatPassword {
		return refusePassword("%d characters are too few for %s, whose key derivation protects no short password; %d are the least",
			n, Compat, MinCompatPassword)
	}
	return nil
}

// checkCharacters refuses a password that nobody can type, or that readers would
// not take.
func checkCharacters(password string, readers []*P12Reader) error {
	if password == "" {
		return refusePassword("empty, and importers refuse a file without one")
	}
	if !utf8.ValidString(password) {
		return refusePassword("not UTF-8")
	}
	ascii := true
	for _, r := range password {
		switch {
		case unicode.IsControl(r):
			return refusePassword("it has a control character, which nobody can type")
		case r > 0xFFFF:
			// PKCS#12 hashes the password as UCS-2 (RFC 7292 appendix B.1).
			return refusePassword("it has a character beyond the basic plane of Unicode, such as an emoji, which PKCS#12 cannot hold")
		case r > unicode.MaxASCII:
			ascii = false
		}
	}
	if !ascii {
		if titles := cannot(readers, needUnicode); titles != "" {
			return refusePassword("it has characters that are not ASCII, which %s cannot take", titles)
		}
	}
	return nil
}

func refusePassword(format string, args ...any) error {
	return &OptionError{"password", "", fmt.Sprintf(format, args...), ""}
}

// cannot names the readers that are known not to have what is needed, or
// returns "". A family of which no version has it is named as a whole.
func cannot(readers []*P12Reader, need int) string {
	var titles []string
	for _, r := range readers {
		title := r.Title
		if !slices.ContainsFunc(familyReaders(r.family), func(r *P12Reader) bool { return r.answer(need) != 'n' }) {
			if i := strings.IndexAny(title, "0123456789"); i > 0 {
				title = strings.TrimSpace(title[:i])
			}
		}
		if r.answer(need) == 'n' && !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	}
	if n := len(titles) - 1; n > 0 {
		titles = append(titles[:n-1], titles[n-1]+" and "+titles[n])
	}
	return strings.Join(titles, ", ")
}
