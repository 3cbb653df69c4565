package term

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// What a person types, key by key, and what is understood. How it goes on a
// terminal is tried in the tests of cmd.
func TestReadRawLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keys, want, left string
		err              error
	}{
		{"secret\r", "secret", "", nil},
		{"secret\nnext\n", "secret", "next\n", nil},
		{"\r", "", "", nil},
		{"sx\x7fecret\r", "secret", "", nil},
		{"sx\x08ecret\r", "secret", "", nil},
		{"s\u00fc\x7fecret\r", "secret", "", nil},
		{"\x7fsecret\r", "secret", "", nil},
		{"wrong\x15secret\r", "secret", "", nil},
		{"gr\u00fc\u00dfe\r", "gr\u00fc\u00dfe", "", nil},
		{" two words \r", " two words ", "", nil},
		{"sec\x04ret\r", "secret", "", nil},
		{"\x04", "", "", io.ErrUnexpectedEOF},
		{"sec\x03ret\r", "", "ret\r", ErrInterrupted},
		{"secret", "", "", io.EOF},
	} {
		in := strings.NewReader(tt.keys)
		got, err := readRawLine(in)
		left, readErr := io.ReadAll(in)
		if string(got) != tt.want || !errors.Is(err, tt.err) || readErr != nil || string(left) != tt.left {
			t.Errorf("%q: %q, %v, left %q; want %q, %v, left %q", tt.keys, got, err, left, tt.want, tt.err, tt.left)
		}
	}
}
