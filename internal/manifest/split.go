package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxDocument is how long one document may be, in bytes. A stream of documents
// has no limit.
const maxDocument = 64 << 20

// A document is a stretch of a file. All documents joined are the file.
type document struct {
	text  []byte
	line  int  // of its first byte, from 1
	index int  // from 1; 0 for what is no document: blanks and comments at the end
	long  bool // longer than the limit; text is empty
}

// split cuts r into documents and hands each to emit, which owns it then. It
// holds one document at a time and fails with the errors of r and of emit.
//
// The markers of YAML begin a line and cannot be anything else, wherever they
// stand (YAML 1.2.2, section 9.1), so no parser is needed to find them. Input
// that begins with { or [ is JSON values one after the other.
func split(r io.Reader, limit int, emit func(document) error) error {
	s := &splitter{r: bufio.NewReaderSize(r, 64<<10), limit: limit, emit: emit, line: 1, bol: true}
	s.cur.line = 1
	head, err := s.r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if looksJSON(head) {
		if done, err := s.json(); done || err != nil {
			return err
		}
	}
	return s.yaml()
}

// looksJSON reports whether text begins like a JSON object or array, and not
// like YAML's {key: value} or a template's {{.
func looksJSON(text []byte) bool {
	text = bytes.TrimLeft(bytes.TrimPrefix(text, bom), " \t\r\n")
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(text[1:], " \t\r\n")
	return len(next) > 0 && (next[0] == '"' || next[0] == text[0]+2 || text[0] == '[' && next[0] == '{')
}

var bom = []byte{0xEF, 0xBB, 0xBF}

type splitter struct {
	r     *bufio.Reader
	limit int
	emit  func(document) error

	cur   document
	line  int  // of the next byte
	bol   bool // the next byte begins a line
	index int  // of the last document
}

func (s *splitter) add(text []byte) {
	switch {
	case s.cur.long:
	case len(s.cur.text)+len(text) > s.limit:
		s.cur.long, s.cur.text = true, nil
	default:
		s.cur.text = append(s.cur.text, text...)
	}
}

// flush hands over what there is.
func (s *splitter) flush(counts bool) error {
	doc := s.cur
	s.cur = document{line: s.line}
	if counts {
		s.index++
		doc.index = s.index
		// The next one is likely to be as long.
		s.cur.text = make([]byte, 0, min(len(doc.text)+64, 64<<10))
	} else if len(doc.text) == 0 {
		return nil
	}
	return s.emit(doc)
}

// yaml cuts the rest of the input at its markers.
func (s *splitter) yaml() error {
	opened := false  // a --- began this document
	blank := s.bol   // and nothing but blanks, comments and directives are in it
	comment := false // the line is one of these, however long
	for {
		chunk, err := s.r.ReadSlice('\n') // a piece of a line, if it is long
		if len(chunk) > 0 {
			marker := byte(0)
			if s.bol {
				marker = markerOf(chunk)
			}
			if marker == '-' {
				if opened || !blank {
					if err := s.flush(true); err != nil {
						return err
					}
				}
				opened, blank = true, true
			} else if blank && marker == 0 && (s.bol || !comment) {
				blank, comment = isBlank(chunk)
			}
			s.add(chunk)
			if s.bol = chunk[len(chunk)-1] == '\n'; s.bol {
				s.line++
			}
			if marker == '.' {
				if err := s.flush(opened || !blank); err != nil {
					return err
				}
				opened, blank = false, true
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return s.flush(opened || !blank)
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// markerOf returns '-' or '.' for a line that begins a document or ends one.
func markerOf(line []byte) byte {
	line = bytes.TrimPrefix(line, bom)
	if !bytes.HasPrefix(line, []byte("---")) && !bytes.HasPrefix(line, []byte("...")) {
		return 0
	}
	if len(line) > 3 && line[3] != ' ' && line[3] != '\t' && line[3] != '\r' && line[3] != '\n' {
		return 0
	}
	return line[0]
}

// isBlank reports whether a line is empty, a comment or a directive; the second
// result is for the latter two, which may go on.
func isBlank(line []byte) (blank, comment bool) {
	line = bytes.TrimPrefix(line, bom)
	if len(line) > 0 && line[0] == '%' {
		return true, true
	}
	line = bytes.TrimLeft(line, " \t\r\n")
	comment = len(line) > 0 && line[0] == '#'
	return comment || len(line) == 0, comment
}

// json cuts the input after each value and leaves at the first byte that begins
// none, such as that of a line ---. It reports whether the input is at its end.
func (s *splitter) json() (done bool, err error) {
	depth, quoted, escaped := 0, false, false
	for {
		// At most what is there, so that a value is handed over when it is whole.
		if _, err := s.r.Peek(1); errors.Is(err, io.EOF) {
			return true, s.flush(depth > 0)
		} else if err != nil {
			return false, err
		}
		buf, err := s.r.Peek(s.r.Buffered())
		if err != nil {
			return false, err
		}
		n, ended, other := 0, false, false
		for n < len(buf) && !ended && !other {
			c := buf[n]
			switch {
			case escaped:
				escaped = false
			case quoted:
				escaped, quoted = c == '\\', c != '"'
			case c == '"' && depth > 0:
				quoted = true
			case c == '{' || c == '[':
				depth++
			case (c == '}' || c == ']') && depth > 0:
				depth--
				ended = depth == 0
			case depth == 0 && !bytes.ContainsRune([]byte(" \t\r\n\ufeff"), rune(c)) && !bytes.Contains(bom, buf[n:n+1]):
				other = true
				continue
			}
			if s.bol = c == '\n'; s.bol {
				s.line++
			}
			n++
		}
		s.add(buf[:n])
		if _, err := s.r.Discard(n); err != nil {
			return false, err
		}
		switch {
		case ended:
			if err := s.flush(true); err != nil {
				return false, err
			}
		case other:
			return false, nil
		}
	}
}
