package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
)

func newAdmin() *cobra.Command {
	c := &cobra.Command{
		Use:   "admin",
		Short: "Make what the [admin] table of the configuration wants",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newAdminHash())
	return c
}

// hashCost takes about a quarter of a second.
const hashCost = 12

func newAdminHash() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Make the password_hash of an [[admin.user]]",
		Long: `Reads a password, one line of 12 to 72 bytes, and prints its bcrypt hash. On a
terminal the password is not shown.

Exit status: 0; 1 if the password cannot be used; 2 for a wrong command line.`,
		Example: "  sekimori admin hash\n  openssl rand -base64 18 | tee /dev/stderr | sekimori admin hash",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f, ok := c.InOrStdin().(*os.File); ok {
				if shown, ok := hideInput(f); ok {
					fmt.Fprint(c.ErrOrStderr(), "Password: ")
					defer fmt.Fprintln(c.ErrOrStderr())
					defer shown()
				}
			}
			return printHash(c.InOrStdin(), c.OutOrStdout())
		},
	}
}

func printHash(in io.Reader, out io.Writer) error {
	line, err := bufio.NewReader(io.LimitReader(in, 1000)).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the password: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if len(password) < 12 || len(password) > 72 {
		return errors.New("a password has 12 to 72 bytes")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", hash)
	return err
}
