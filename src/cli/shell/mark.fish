functions --query __agevault_prompt; or functions --copy fish_prompt __agevault_prompt; function fish_prompt; printf '(vault) '; __agevault_prompt; end
