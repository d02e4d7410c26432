# SPDX-License-Identifier: GPL-3.0-or-later
# Completes chatctl's commands, options, chats and files in fish.

function __chatctl_complete
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    # fish matches by itself, and knows more ways to; only options and ids ask for something else.
    set -l asked $word
    string match -qr '^[-@]' -- $word; or set asked ''
    for line in ($before[1] __complete $before[2..-1] "$asked" 2>/dev/null)
        if string match -q \tfiles -- $line
            set -l option (string match -r '^--[^=]*=' -- $word; or echo '')
            for file in (__fish_complete_path (string replace -r '^--[^=]*=' '' -- "$word"))
                echo $option$file
            end
            return
        end
        echo $line
    end
end

complete -c chatctl -f -a '(__chatctl_complete)'
