// Renders conversations with the TEMPLATE of a Modelfile, as Ollama does: MODELFILE MESSAGES.json
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

func main() {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	said, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	var messages []message
	if err := json.Unmarshal(said, &messages); err != nil {
		panic(err)
	}
	text := strings.Split(string(file), `"""`)[1]
	t := template.Must(template.New("").Parse(text))
	if err := t.Execute(os.Stdout, map[string]any{"Messages": messages}); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(3)
	}
}
