// Package e2e holds the end-to-end tests, and nothing else: the mtlsctl binary
// is built and driven as a user would, and what it wrote is given to the
// programs that it is for. They hold real handshakes on the loopback interface.
//
// A test is skipped where its program is missing, and fails instead with
// CI=true. Each works in a folder of its own and leaves nothing behind.
package e2e
