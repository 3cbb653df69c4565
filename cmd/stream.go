package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"github.com/mtlsctl/mtlsctl/internal/term"
)

// What may be longer than anybody wants to hold in memory is written piece by
// piece, and looks as if it were not.

// A tableStream is a table whose columns line up within each block of rows, and
// never get narrower.
type tableStream struct {
	table term.Table
	w     *bufio.Writer
	some  bool // there is a row below the head
}

const tableBlock = 1000

func (a *app) newTableStream(head ...string) *tableStream {
	t := &tableStream{w: bufio.NewWriter(a.Stdout)}
	var cells []any
	for _, h := range head {
		cells = append(cells, term.Cell{Text: h, Style: a.style(a.Stdout).Faint})
	}
	t.table.Row(cells...)
	return t
}

func (t *tableStream) row(cells ...any) error {
	t.some = true
	t.table.Row(cells...)
	if t.table.Rows() < tableBlock {
		return nil
	}
	return t.table.Write(t.w)
}

// end writes what is left. A table without rows is nothing.
func (t *tableStream) end() error {
	if !t.some {
		return nil
	}
	if err := t.table.Write(t.w); err != nil {
		return err
	}
	return t.w.Flush()
}

// An arrayStream is a list in JSON.
type arrayStream struct {
	w     *bufio.Writer
	count int
}

func newArrayStream(w io.Writer) *arrayStream { return &arrayStream{w: bufio.NewWriter(w)} }

func (s *arrayStream) add(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	before := ",\n  "
	if s.count == 0 {
		before = "[\n  "
	}
	s.count++
	if _, err := s.w.WriteString(before); err != nil {
		return err
	}
	_, err := s.w.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	return err
}

func (s *arrayStream) end() error {
	last := "\n]\n"
	if s.count == 0 {
		last = "[]\n"
	}
	if _, err := s.w.WriteString(last); err != nil {
		return err
	}
	return s.w.Flush()
}
