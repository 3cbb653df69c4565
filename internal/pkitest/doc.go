// Package pkitest is what the tests of other rooms share: a clock that stands
// still, fixed keys of every type, authorities made of them, and the outside
// programs that judge the result.
//
// Its keys are public. Nothing but a test may import it.
package pkitest
