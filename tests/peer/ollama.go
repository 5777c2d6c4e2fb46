// Renders conversations with the TEMPLATE of Modelfiles, as Ollama does on a given day: DATE JOBS
//
// A line of JOBS names a Modelfile, a file of messages and a file with the text that is wanted; where that
// is missing the template must fail. "may" behind them: it may fail anyway.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func render(modelfile, date string, messages []*message) (string, error) {
	functions := template.FuncMap{"currentDate": func(...string) string { return date }}
	t, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(strings.Split(modelfile, `"""`)[1])
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, map[string]any{"Messages": messages})
	return out.String(), err
}

func main() {
	same, failed, wrong := 0, 0, 0
	for _, line := range strings.Split(strings.TrimSpace(read(os.Args[2])), "\n") {
		job := strings.Split(line, "\t")
		var messages []*message
		if err := json.Unmarshal([]byte(read(job[1])), &messages); err != nil {
			panic(err)
		}
		got, err := render(read(job[0]), os.Args[1], messages)
		want, missing := os.ReadFile(job[2])
		switch {
		case err != nil && (missing != nil || len(job) > 3):
			failed++
		case err == nil && missing == nil && got == string(want):
			same++
		default:
			wrong++
			fmt.Printf("%s: %s\n  got    %q, %v\n  wanted %q, %v\n", job[0], read(job[1]), got, err, want, missing)
		}
	}
	fmt.Printf("%d texts the same, %d refused by both\n", same, failed)
	if wrong > 0 {
		os.Exit(1)
	}
}
