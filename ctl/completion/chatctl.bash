# SPDX-License-Identifier: GPL-3.0-or-later
# Completes chatctl's commands, options, chats and files in bash.

# Cuts a line into words as the shell would. Sets `words`, what the last one is open in (`quote`),
# and how many of its characters stand before those that readline replaces (`fixed`).
_chatctl_split() {
	local line=$1 c i word= has_word= outside=0
	words=() quote= fixed=0
	for ((i = 0; i < ${#line}; i++)); do
		c=${line:i:1}
		if [[ $c == '\' && $quote != "'" ]]; then
			((++i))
			c=${line:i:1}
			[[ $quote && $c != [\$\`\"\\] ]] && word+='\'
			word+=$c
		elif [[ $quote && $c == "$quote" ]]; then
			quote= fixed=$outside
		elif [[ $quote ]]; then
			word+=$c
		elif [[ $c == [\'\"] ]]; then
			quote=$c outside=$fixed fixed=${#word}
		elif [[ $c == [[:space:]] ]]; then
			[[ $has_word ]] && words+=("$word")
			word= has_word= fixed=0
			continue
		else
			word+=$c
			[[ $COMP_WORDBREAKS == *"$c"* ]] && fixed=${#word}
			# readline begins a word behind those, but with this one.
			[[ $c == @ && fixed -gt 0 ]] && ((fixed--))
		fi
		has_word=1
	done
	words+=("$word")
}

# Quotes for where the cursor is: inside quotes or outside.
_chatctl_quote() {
	local text=$1
	case $quote in
	\') printf -v text '%s' "${text//\'/\'\\\'\'}" ;;
	\")
		text=${text//'\'/'\\'}
		text=${text//'"'/'\"'}
		text=${text//'$'/'\$'}
		text=${text//'`'/'\`'}
		;;
	*) printf -v text '%q' "$text" ;;
	esac
	COMPREPLY+=("$text")
}

_chatctl() {
	local IFS=$' \t\n' words quote fixed word value file
	COMPREPLY=()
	_chatctl_split "${COMP_LINE:0:COMP_POINT}"
	word=${words[-1]}
	while IFS= read -r value; do
		if [[ $value == $'\tfiles' ]]; then
			[[ $word == --*=* ]] && value=${word#*=} || value=$word
			compopt -o filenames
			while IFS= read -r file; do
				COMPREPLY+=("$file")
			done < <(compgen -f -- "$value")
			return
		fi
		value=${value%%$'\t'*}
		[[ ${value:0:fixed} == "${word:0:fixed}" ]] && _chatctl_quote "${value:fixed}"
	done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
	compopt -o nosort 2>/dev/null
}

complete -F _chatctl chatctl
