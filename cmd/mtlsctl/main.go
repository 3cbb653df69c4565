// Command mtlsctl is a private certificate authority.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mtlsctl/mtlsctl/cmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends it at once
	code := cmd.Main(ctx, os.Args[1:], cmd.System())
	stop()
	os.Exit(code)
}
